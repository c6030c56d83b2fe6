"""The walk through the code that a function or class uses: one digest of it, and the names of the data that it uses.

It is the walk of `usercode` with other rules. Docstrings and annotations count only where code may read them. Data counts by
its value at each call, so the walk only collects where it is. Libraries count by their releases.
"""

import functools
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CellType, FunctionType, ModuleType
from typing import Any, NamedTuple

from nbcache.keys.functions.libraries import Release, place_in_library, releases_of
from nbcache.keys.functions.run_state import check_reader
from nbcache.keys.usercode.call_state import State
from nbcache.keys.usercode.change_detection import MISSING, Check
from nbcache.keys.usercode.environment_variables import Environment
from nbcache.keys.usercode.origin import original_of
from nbcache.keys.usercode.walk import Walk
from nbcache.keys.usercode.wrappers_and_containers import BUILTIN, CACHED, DESCRIPTORS

_FIXED = frozenset({str, int, float, complex, bool, bytes, type(None), type(...), type(NotImplemented), range})
FIELD: type = type(vars(namedtuple("_Field", "name"))["name"])  # noqa: PYI024 - what a named tuple's class has for each field
_CODE = (
    *(type, ModuleType, FunctionType, CACHED, staticmethod, classmethod, property),
    *(*DESCRIPTORS, FIELD),
    *(functools.cached_property, functools.partialmethod, functools.singledispatchmethod),
)
# Code that uses one of these names may read the docstring or the annotations of any function.
_REFLECTION = frozenset(
    {
        *("__doc__", "getdoc", "help", "__annotations__", "get_type_hints", "get_annotations", "signature"),
        *("getfullargspec", "getsource", "getsourcelines", "getcomments", "validate_call", "TypeAdapter"),
    }
)
# Code that uses one of these names may read the id of one of LangChain's messages.
_READS_IDS = frozenset(
    {
        *("id", "model_dump", "model_dump_json", "dumpd", "message_to_dict", "messages_to_dict", "add_messages"),
        *("RemoveMessage", "__dict__", "vars"),
    }
)
_ENVIRONMENT = Environment()
_MOST_INLINE = 1_000  # items of a container that count as a part of the code
_DEEPEST = 5  # such containers within each other


class Name(NamedTuple):
    """A name of data that code uses. `owner` is the namespace or cell that has it; without one, `value` is the data itself."""

    label: str
    owner: Mapping[str, Any] | CellType | Environment | None
    name: str
    value: Any

    def now(self) -> Any:
        """The present value. MISSING if there is none."""
        owner = self.owner
        if owner is None:
            return self.value
        if type(owner) is CellType:
            try:
                return owner.cell_contents
            except ValueError:
                return MISSING
        return owner.get(self.name, MISSING)


@dataclass(frozen=True, slots=True, eq=False)
class CodePiece:
    """The code of a function or class, as it is now.

    Attributes:
        names: the data that the code uses, which counts by its value at each call.
        libraries: the releases of the libraries that the code uses.
        reads_ids: whether the code may read the id of a message.
    """

    thing: Any
    digest: str
    check: Check
    names: tuple[Name, ...]
    libraries: frozenset[Release]
    reads_ids: bool

    def is_current(self) -> bool:
        """Whether the code is still the same, and its names still mean data."""
        return self.check.holds() and not any(
            is_missing_or_code(name.now()) for name in self.names if name.owner is not None
        )


def is_code(value: Any) -> bool:
    """Whether `value` counts by its code, and not as data."""
    cls = type(value)
    if issubclass(cls, _CODE) or (cls in BUILTIN and not _is_bound(value)):
        return True
    if (inner := unwrapped(value)) is not value:
        return is_code(inner)
    return place_in_library(value) is not None


def is_missing_or_code(value: Any) -> bool:
    """Whether a name with this value is not one of data."""
    cls: Any = type(value)
    return value is MISSING or (not _is_data(cls) and is_code(value))


@functools.lru_cache(maxsize=256)
def _is_data(cls: type) -> bool:
    """Whether no object of a class is code. Of a class whose objects can be called, some may be."""
    if cls in _FIXED:
        return True
    is_callable = hasattr(cls, "__call__")  # noqa: B004 - of its objects
    return not (is_callable or issubclass(cls, _CODE) or str(cls.__module__).startswith("nbcache."))


def _is_bound(value: Any) -> bool:
    owner = getattr(value, "__self__", None)
    return owner is not None and not issubclass(type(owner), ModuleType | type)


def is_fixed(value: Any) -> bool:
    """Whether `value` can't change, and consists of Python's own values."""
    cls = type(value)
    return cls in _FIXED or (cls in {tuple, frozenset} and len(value) <= _MOST_INLINE and all(map(is_fixed, value)))


def _is_inline(value: Any, depth: int = 0) -> bool:
    """Whether `value` is a container of nothing but fixed values and code."""
    cls = type(value)
    if cls not in {list, dict, set} or len(value) > _MOST_INLINE or depth > _DEEPEST:
        return False
    items = [*value, *value.values()] if cls is dict else [*value]
    if cls is set:
        return all(map(is_fixed, items))
    return all(is_fixed(item) or type(item) in {FunctionType, type} or _is_inline(item, depth + 1) for item in items)


def unwrapped(value: Any) -> Any:
    """A function or model as its author made it, without what nbcache puts around it."""
    value = original_of(value)
    while _is_ours(value):
        inner = getattr(value, "__wrapped__", None) or getattr(value, "__dict__", {}).get("_wrapped")
        if inner is None:
            break
        value = original_of(inner)
    return value


def _is_ours(value: Any) -> bool:
    if type(value) is FunctionType:
        return str(value.__globals__.get("__name__")).startswith("nbcache.")
    return str(type(value).__module__).startswith("nbcache.")


class CodeWalk(Walk):
    """A walk through code. `ignore` are the labels of names that don't count."""

    def __init__(
        self,
        nodes: Callable[["CodeWalk", Any], None],
        root: Any,
        ignore: frozenset[str],
        *,
        is_called: bool,
    ) -> None:
        super().__init__(nodes, State(), path=getattr(root, "__qualname__", ""))  # type: ignore[arg-type]
        self.root = root
        self.called: tuple[Any, ...] = (root,) if is_called else ()
        self.ignore = ignore
        self.names: dict[str, Name] = {}
        self.libraries: set[Release] = set()
        self.handed_on: set[str] = set()
        self.getters: set[Any] = set()  # functions of properties: to read one calls it, and hands nothing on
        self.home = root.__globals__.get("__name__") if type(root) is FunctionType else getattr(root, "__module__", "")
        self._root_is_used = False
        self._deferred: list[tuple[Callable[[], bool], Callable[[], None]]] = []

    def code(self, value: Any, label: str = "") -> None:
        """Write code, as a node of its own."""
        value = unwrapped(value)
        self._root_is_used |= value is self.root
        self.child(value, label)

    def part(self, value: Any, label: str) -> None:
        """Write a value that the code holds: code, a value that can't change, or data, which counts at each call."""
        if is_fixed(value):
            self.child(value)
        elif is_code(value):
            self.code(value, label)
        elif type(value) is tuple and len(value) <= _MOST_INLINE:
            self.put("tuple", str(len(value)))
            for item in value:
                self.part(item, label)
        elif _is_inline(value):
            self.child(value, label)
        else:
            self.data(Name(label, None, "", value))

    def data(self, name: Name) -> None:
        """Note a name of data, unless it is ignored."""
        label = name.label
        if label in self.ignore:
            return
        known = self.names.get(label)
        while known is not None and (
            known.owner is not name.owner or known.name != name.name or known.value is not name.value
        ):
            label += "'"  # another of the same name
            known = self.names.get(label)
        self.put("data", label)
        self.names[label] = name._replace(label=label)

    def variable(self, name: str) -> None:
        """Note an environment variable: it is data, too, so that `why` can name it."""
        self.data(Name(f"environment variable {name}", _ENVIRONMENT, name, None))

    def label(self, module: Any, name: str) -> str:
        """How a global is called: by its name alone, if it is one of the function's own module."""
        return name if module == self.home else f"{module}.{name}"

    def library(self, module: Any, *names: str) -> None:
        """Write something of a library. It counts by the library's release."""
        self.put("library", str(module), *names)
        self.libraries.update(releases_of(str(module)))

    def check_run_state(self, reader: str | None) -> None:
        """Raise RunStateError for the full name of what reads the state of a run, unless it is ignored. None is no such name."""
        check_reader(reader, self.ignore, self._path)

    def reflected(self, names: set[str], write: Callable[[], None]) -> None:
        """Write something that only counts if code may read it of the function or class with one of these `names`."""
        self._deferred.append(
            (lambda: not (names.isdisjoint(self.handed_on) and _REFLECTION.isdisjoint(self.reads)), write)
        )

    def if_root_is_used(self, write: Callable[[], None]) -> None:
        """Write something that only counts if the code calls the function itself."""
        self._deferred.append((lambda: self._root_is_used, write))

    def if_read(self, name: str, names: set[str], write: Callable[[], None]) -> None:
        """Write an attribute that only counts if code reads it, or hands its owner on, which has one of these `names`."""
        self._deferred.append((lambda: name in self.reads or not names.isdisjoint(self.handed_on), write))

    def _visit_pending(self) -> None:
        super()._visit_pending()
        while ready := [number for number, (counts, _) in enumerate(self._deferred) if counts()]:
            self._deferred.pop(ready[0])[1]()
            super()._visit_pending()

    def piece(self, *also: Any) -> CodePiece:
        """What the walk finds, from its root and other code that is called. Raises NotCanonicalError."""
        self.called += also
        for code in also:
            self.code(code)
        digest = self.digest(self.root)
        names = tuple(sorted(self.names.values(), key=lambda name: name.label))
        return CodePiece(
            self.root,
            digest,
            self.watch.frozen(),
            names,
            frozenset(self.libraries),
            not _READS_IDS.isdisjoint(self.reads),
        )
