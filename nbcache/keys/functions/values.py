"""The canonical form of any value: equal forms for values that are equal at every depth, in type and content.

A form is JSON. What JSON has no form for is an object with one name that begins with "!", such as {"!tuple": [1, 2]}. A dict
of the user's never looks like one. No code of the user's runs: no `__eq__`, `__repr__` or `__reduce__`.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from nbcache.keys.functions.libraries import Release, releases_of
from nbcache.keys.functions.module_names import class_name
from nbcache.keys.functions.plain_kinds import KINDS, Write, digest_of
from nbcache.keys.functions.run_state import RunStateError
from nbcache.keys.usercode.not_canonical import NotCanonicalError

if TYPE_CHECKING:
    from nbcache.keys.functions.code_walk import CodePiece

_JSON = frozenset({str, int, bool, type(None)})
_TEXT = frozenset({str})
_CONTAINERS = frozenset({list, dict})
_NUMBERS = _JSON | {float}
_EVERY = 16  # levels of values within values, after which a value counts by its digest


class UnstableNameError(NotCanonicalError):
    """Data in the code of a class or function that can't be told apart. `path` is its name, as `ignore` takes it."""


class Values:
    """Writes the values of one call.

    Attributes:
        libraries: the releases of the libraries that the values come from.
        ignore: names of data in the code of classes and functions that doesn't count.
        counts_ids: whether the ids of LangChain's AI messages count.
        is_exact: whether a text or number is being written that orjson refuses.
    """

    __slots__ = ("_depth", "_known", "_open", "_within", "counts_ids", "ignore", "is_exact", "libraries")

    def __init__(self, ignore: frozenset[str] = frozenset()) -> None:
        self.ignore = ignore
        self.counts_ids = False
        self.libraries: set[Release] = set()
        self.is_exact = False
        self._depth = 0
        self._open: set[tuple[int, Write]] = set()
        self._within: list[Any] = []  # the code whose data is being written
        self._known: dict[tuple[int, Write], tuple[Any, Any]] = {}

    def written(self, value: Any) -> bytes:
        """The canonical form of `value`. Raises NotCanonicalError, which names the class that has none."""
        try:
            return self._dumped(self.form, value)
        except RecursionError:
            raise NotCanonicalError("values nested too deeply, or within themselves") from None
        except NotCanonicalError:
            raise
        except (TypeError, ValueError) as error:  # a name with a lone surrogate, a memoryview that is released
            raise NotCanonicalError(f"a {type(value).__qualname__} ({error})") from None

    def _dumped(self, write: Callable[[Any], Any], value: Any) -> bytes:
        """A form as JSON. Lone surrogates and integers over 64 bits, which orjson refuses, have forms of their own."""
        exact = self.is_exact
        try:
            return orjson.dumps(write(value))
        except TypeError as error:
            if exact or isinstance(error, NotCanonicalError):
                raise
            self.is_exact = True
            return orjson.dumps(write(value))
        finally:
            self.is_exact = exact

    def form(self, value: Any) -> Any:
        """The form of `value`, to be written as JSON."""
        cls = type(value)
        if cls in _JSON:
            return _exactly(value) if self.is_exact else value
        if cls in _CONTAINERS and not self._depth and not self.is_exact and _is_json(value):
            return value
        write = KINDS.get(cls)
        return write(self, value) if write is not None else self._other(value)

    def _other(self, value: Any) -> Any:
        from nbcache.keys.functions.objects import object_form  # noqa: PLC0415 - most arguments are plain

        return self.nested(object_form, value)

    def nested(self, write: Write, value: Any) -> Any:
        """What `write` makes of a value that holds others."""
        self._depth += 1
        try:
            if self._depth % _EVERY:
                return write(self, value)
            return {"!deep": self._digest(write, value)}
        finally:
            self._depth -= 1

    def _digest(self, write: Write, value: Any) -> str:
        """The digest of a value, which is made once if the value stands in several places."""
        which = id(value), write
        if which in self._known:
            return str(self._known[which][1])
        if which in self._open:
            raise NotCanonicalError(f"a {type(value).__qualname__} that holds itself")
        self._open.add(which)
        try:
            digest = digest_of(self._dumped(functools.partial(write, self), value))
        finally:
            self._open.discard(which)
        self._known[which] = value, digest  # referenced, so that its address isn't used again
        return digest

    def items(self, items: list[Any] | tuple[Any, ...]) -> Any:
        """The forms of several values in order."""
        types = {*map(type, items)}
        if not self.is_exact and (types <= _JSON or (types <= _NUMBERS and _are_finite(items))):
            return items
        form = self.form
        return [form(item) for item in items]

    def pairs(self, pairs: Iterable[tuple[Any, Any]]) -> list[list[Any]]:
        """The forms of keys and values, in their order."""
        form = self.form
        return [[form(key), form(item)] for key, item in pairs]

    def attributes(self, attributes: Mapping[Any, Any]) -> dict[str, Any]:
        """The forms of an object's attributes, whose order doesn't count."""
        form = self.form
        return {str(name): form(attributes[name]) for name in sorted(attributes)}

    def unordered(self, items: Iterable[Any]) -> list[str]:
        """The forms of values without an order, in an order that is the same in every process."""
        return sorted(self._dumped(self.form, item).decode() for item in items)

    def name(self, cls: type) -> Any:
        """Which class this is: its name, and the digest of its code if it is the user's own."""
        from nbcache.keys.functions.class_members import counts_by_code  # noqa: PLC0415 - most arguments are plain

        name = class_name(cls)
        if counts_by_code(cls):
            return [name, self.code(cls)]
        self.libraries.update(releases_of(cls.__module__))
        return name

    def code_alone(self, cls: type) -> list[str]:
        """Which class this is, by its name and code, without the data that its code uses."""
        from nbcache.keys.functions.code_nodes import piece_of  # noqa: PLC0415 - most functions are no methods

        piece = piece_of(cls)
        self.libraries |= piece.libraries
        return [f"{cls.__module__}.{cls.__qualname__}", piece.digest]

    def code(self, thing: Any) -> str | dict[str, int]:
        """The digest of a class, function or module of the user's, with the data that its code uses."""
        from nbcache.keys.functions.code_nodes import piece_of  # noqa: PLC0415 - most arguments are plain

        for distance, each in enumerate(reversed(self._within)):
            if each is thing:
                return {"!within": distance}
        piece = piece_of(thing)
        self.libraries |= piece.libraries
        return self._with_data(piece) if piece.names else piece.digest

    def _with_data(self, piece: "CodePiece") -> str:
        state = self._known, self._depth, self.is_exact
        self._known, self._depth, self.is_exact = {}, 0, False
        self._within.append(piece.thing)
        try:
            return digest_of(self._dumped(self._data, piece))
        finally:
            self._within.pop()
            self._known, self._depth, self.is_exact = state

    def _data(self, piece: "CodePiece") -> list[Any]:
        data = {}
        for name in piece.names:
            if name.label in self.ignore:
                continue
            try:
                data[name.label] = self.form(name.now())
            except RunStateError:
                raise
            except NotCanonicalError as error:
                label = error.path if type(error) is UnstableNameError else name.label
                raise UnstableNameError(error.what, label) from None
        return [piece.digest, data]


def _is_json(value: Any) -> bool:
    """Whether a list or dict is its own form: JSON at every depth, not too deep, and with no name that looks like a tag."""
    level = [value]
    for _ in range(_EVERY - 1):
        inner: list[Any] = []
        for each in level:
            if type(each) is dict:
                if not _TEXT.issuperset(map(type, each)) or any(name[:1] == "!" for name in each):
                    return False
                each = each.values()  # noqa: PLW2901 - what is in it
            for item in each:
                cls = type(item)
                if cls in _CONTAINERS:
                    inner.append(item)
                elif cls not in _JSON and not (cls is float and math.isfinite(item)):
                    return False
        if not inner:
            return True
        level = inner
    return False


def _are_finite(numbers: Iterable[Any]) -> bool:
    try:
        return all(map(math.isfinite, [number for number in numbers if type(number) is float]))
    except TypeError:
        return False


def _exactly(value: Any) -> Any:
    if type(value) is int and not -(2**63) <= value < 2**64:
        return {"!int": hex(value)}
    if type(value) is str and not _is_utf8(value):
        return {"!text": value.encode(errors="surrogatepass").hex()}
    return value


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
