"""Which call of which function this is: its code, its arguments, and the data that the code uses, as they are now."""

import platform
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from nbcache.errors import UnstableIdentityError
from nbcache.keys.credential_names import is_credential
from nbcache.keys.functions.call_text import call_text
from nbcache.keys.functions.code_nodes import called_piece
from nbcache.keys.functions.code_walk import CodePiece, Name, unwrapped
from nbcache.keys.functions.libraries import Release
from nbcache.keys.functions.module_names import function_name
from nbcache.keys.functions.parameters import Parameters
from nbcache.keys.functions.plain_kinds import digest_of
from nbcache.keys.functions.run_state import RunStateError
from nbcache.keys.functions.values import UnstableNameError, Values
from nbcache.keys.request import Identity
from nbcache.keys.usercode.environment_variables import Environment
from nbcache.keys.usercode.not_canonical import NotCanonicalError

# Of the canonical form. Another number makes everybody pay again.
FORM_VERSION = 1
_PYTHON = ".".join(platform.python_version_tuple()[:2])
# Bytes of a value's form that are stored as they are; of a longer one its digest is.
_LONGEST, _LONGEST_TEXT = 400, 1_200
_MOST_KNOWN, _LONGEST_KNOWN = 256, 10_000  # calls of a function, and characters of one
_PLAIN = frozenset({str, int, bool, bytes, type(None)})  # kinds of which equal ones are the same
_NO_NAMES: Mapping[str, bytes] = types.MappingProxyType({})
# A name of a dict or object under which a secret may stand. Such an argument is not stored readable.
_SECRET = re.compile(rb'(?:key|token|secret|password|passwd|authorization|credentials?|cookies?)"\s*:', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FunctionRules:
    """What counts of a function.

    Attributes:
        ignore: names of parameters, globals and closure cells that don't count.
        version: replaces the function's code and the data that it uses.
    """

    ignore: frozenset[str] = frozenset()
    version: str | None = None


class _Document(NamedTuple):
    """The document of the last calls, and what it was made of."""

    piece: CodePiece | None
    names: Mapping[str, bytes]
    libraries: set[Release]
    written: bytes


class FunctionCall(NamedTuple):
    """A call of a function.

    Attributes:
        name: the function's qualified name.
        prompt: the call as people read and search it.
        identity: the function, with its arguments as the counted prompt.
    """

    name: str
    prompt: str
    identity: Identity


class FunctionKey:
    """Makes the identity of each call of one function."""

    def __init__(self, function: types.FunctionType, rules: FunctionRules) -> None:
        self._function = function
        self._rules = rules
        self._parameters: Parameters | None = None
        self._piece: CodePiece | None = None
        self._is_checked = False  # with a version: that its code reads nothing of the run
        self._document: _Document | None = None
        self._calls: dict[Any, FunctionCall] = {}  # the last ones with plain arguments

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> FunctionCall:
        """The call with these arguments, as it is now. Read before the function runs, which may change them.

        Raises UnstableIdentityError if something of it can't be told apart for sure, and TypeError if the arguments are not
        those that the function takes.
        """
        parameters = self._parameters
        if parameters is None or not parameters.are_current():
            parameters = self._parameters = Parameters(self._function)
            self._calls.clear()
        piece = self._counted_piece()
        values = Values(self._rules.ignore)
        names = self._names_written(values, piece.names) if piece is not None and piece.names else _NO_NAMES
        plain = _plain(args, kwargs) if parameters.are_fixed else None
        if plain is not None:
            known = self._calls.get(plain)
            if known is not None and known.identity.document is self._document_of(piece, names, values):
                return known
        arguments, owner = parameters.bind(args, kwargs), None
        if ignore := self._rules.ignore:
            owner = self._owner_of(arguments)
            arguments = _without(arguments, ignore, parameters.keywords_name)
        values.counts_ids = piece is not None and piece.reads_ids
        counted = self._written(values, arguments, owner)
        name = self._function.__qualname__
        document = self._document_of(piece, names, values)
        identity = Identity(document, "", name, limits_tokens=False, counted_prompt=counted)
        call = FunctionCall(name, call_text(name, arguments), identity)
        if plain is not None and len(call.prompt) <= _LONGEST_KNOWN:
            if len(self._calls) >= _MOST_KNOWN:
                self._calls.clear()
            self._calls[plain] = call
        return call

    def _written(self, values: Values, arguments: Mapping[str, Any], owner: type | None) -> str:
        """The arguments in their canonical form: JSON, in which an argument that is long has a digest in its place."""
        forms = []
        if owner is not None:
            try:
                forms.append(b'"!class":' + orjson.dumps(values.code_alone(owner)))
            except NotCanonicalError as error:
                where = f"the code of {owner.__qualname__}"
                raise self._unstable(where, f"class {owner.__qualname__}", error, None) from None
        for name, value in arguments.items():
            try:
                form = _shortened(name, values.written(value))
            except NotCanonicalError as error:
                raise self._unstable(f"its argument {name!r}", f"argument {name}", error, name) from None
            forms.append(b'"%b":%b' % (name.encode(), form))
        return (b"{%b}" % b",".join(forms)).decode()

    def _owner_of(self, arguments: Mapping[str, Any]) -> type | None:
        """The class of a method whose `self` is ignored: its code counts, since the method may use any of it."""
        first = next(iter(arguments), None)
        if first not in self._rules.ignore or self._rules.version is not None:
            return None
        owner, name = arguments[first], self._function.__name__
        cls: type = owner if issubclass(type(owner), type) else type(owner)
        is_method = any(unwrapped(vars(base).get(name)) is self._function for base in cls.__mro__)
        return cls if is_method else None

    def _document_of(self, piece: CodePiece | None, names: Mapping[str, bytes], values: Values) -> bytes:
        """All that counts beside the arguments, in canonical JSON: the same object as long as it is the same."""
        libraries = values.libraries if piece is None else values.libraries | piece.libraries
        known = self._document
        if known is None or known.piece is not piece or known.names != names or known.libraries != libraries:
            written = self._written_document(piece, names, libraries)
            known = self._document = _Document(piece, names, libraries, written)
        return known.written

    def _written_document(self, piece: CodePiece | None, names: Mapping[str, bytes], libraries: set[Release]) -> bytes:
        document = {**self._named(), "form": FORM_VERSION, "python": _PYTHON}
        if piece is None:
            document["version"] = str(self._rules.version)
        else:
            document["code"] = piece.digest
        if names:
            document["names"] = {name: orjson.Fragment(form) for name, form in names.items()}
        if libraries:
            document["libraries"] = dict(sorted(libraries))
        return orjson.dumps(document)

    def _named(self) -> dict[str, Any]:
        """What the function is called."""
        return {"class": ["function", function_name(self._function)], "model": self._function.__qualname__}

    def _counted_piece(self) -> CodePiece | None:
        """The code as it is now. None with a version, which counts in its place; what it reads of the run is refused all the same."""
        if self._rules.version is None:
            return self._current_piece()
        if not self._is_checked:
            try:
                self._walked()
            except RunStateError as error:
                raise self._unstable("its code", "code", error, None) from None
            except NotCanonicalError:
                pass
            self._is_checked = True
        return None

    def _current_piece(self) -> CodePiece:
        piece = self._piece
        if piece is None or not piece.is_current():
            try:
                piece = self._walked()
            except NotCanonicalError as error:
                where = f"its code, at {error.path}," if error.path else "its code"
                raise self._unstable(where, f"code {error.path}", error, None) from None
            self._piece = piece
        return piece

    def _walked(self) -> CodePiece:
        return called_piece(self._function, self._rules.ignore)

    def _names_written(self, values: Values, names: Iterable[Name]) -> dict[str, bytes]:
        """The data that the code uses, by name, each in its canonical form."""
        forms = {}
        for name in names:
            try:
                form = values.written(name.now())
                is_private = type(name.owner) is Environment
                forms[name.label] = _digested(form) if is_private else _shortened(name.label, form)
            except NotCanonicalError as error:
                raise self._unstable(f"the name {name.label!r} that it uses", name.label, error, name.label) from None
        return forms

    def _unstable(
        self, where: str, cause: str, error: NotCanonicalError, ignorable: str | None
    ) -> UnstableIdentityError:
        function = self._function
        name = function.__qualname__
        if type(error) is RunStateError:
            return error.unstable(f"function {function_name(function)}", name)
        if type(error) is UnstableNameError:
            where, ignorable = f"{where}, by {error.path},", error.path
        advice = "pass `version=` to say yourself when its code changes"
        if ignorable is not None:
            advice = f"pass plain values, or `ignore=({ignorable!r},)` if no result depends on it"
        return UnstableIdentityError(
            f"function {function_name(function)}: {cause}",
            f"nbcache: calls of {name} are not cached: {where} is or holds {error.what}, which can't be told apart for sure. "
            f"To have them cached, {advice}",
        )


def _without(arguments: Mapping[str, Any], ignore: frozenset[str], keywords: str | None) -> dict[str, Any]:
    """The arguments that count. A name to ignore may also be one that `**kwargs` takes."""
    counted = {name: value for name, value in arguments.items() if name not in ignore}
    if keywords in counted:
        counted[keywords] = {name: value for name, value in counted[keywords].items() if name not in ignore}
    return counted


def _plain(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The arguments as the key of a dict, which is equal for equal arguments. None unless they can't change."""
    types = (*map(type, args),)
    if not _PLAIN.issuperset(types):
        return None
    if not kwargs:
        return types, args
    of_keywords = (*map(type, kwargs.values()),)
    return (types, args, of_keywords, *kwargs.items()) if _PLAIN.issuperset(of_keywords) else None


def _shortened(name: str, form: bytes) -> bytes:
    """The form of a value as it is stored: a digest for a long one, and for one that may be or hold a secret."""
    is_text = form[:1] == b'"'
    if len(form) > (_LONGEST_TEXT if is_text else _LONGEST) or (
        is_credential(name) if is_text else _SECRET.search(form)
    ):
        return _digested(form)
    return form


def _digested(form: bytes) -> bytes:
    return b'{"!digest":"%b"}' % digest_of(form).encode()
