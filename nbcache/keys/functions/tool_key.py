"""Which call of which tool this is: what the tool runs, what is said of it, and its arguments after its own validation."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.tools import BaseTool
from pydantic import TypeAdapter

from nbcache.errors import UnstableIdentityError
from nbcache.keys.functions.call_text import call_text
from nbcache.keys.functions.code_nodes import called_piece
from nbcache.keys.functions.function_key import FunctionCall, FunctionKey, FunctionRules
from nbcache.keys.functions.module_names import class_name, function_name
from nbcache.keys.functions.parameters import Parameters
from nbcache.keys.functions.plain_kinds import digest_of
from nbcache.keys.functions.run_state import RunStateError
from nbcache.keys.functions.tool_code import (
    OF_TRACES,
    CalledFunction,
    called_function,
    functions_of,
    handed_to,
    held_by,
    is_of_function,
)
from nbcache.keys.functions.values import UnstableNameError, Values
from nbcache.keys.request import Identity
from nbcache.keys.usercode.not_canonical import NotCanonicalError
from nbcache.keys.usercode.origin import is_users_code

if TYPE_CHECKING:
    from nbcache.keys.functions.code_walk import CodePiece

_LONGEST = 400  # characters of a description that are stored as they are
# Fields of every tool, which its code does not read, or which count apart.
_OF_EVERY_TOOL = frozenset(BaseTool.model_fields) - {"tags", "metadata", "extras", "return_direct", "response_format"}


class ToolKey(FunctionKey):
    """Makes the identity of each call of one tool, as it is now: with another name, description or schema it needs another key."""

    def __init__(self, tool: BaseTool, rules: FunctionRules, *, is_async: bool) -> None:
        """Raises UnstableIdentityError if what the tool runs is not written in Python."""
        self.tool_name, self._description = tool.name, tool.description or ""
        self._class = None if is_of_function(tool) else type(tool)
        functions = functions_of(tool)
        self._referenced = functions, tool.args_schema  # so that no address is used again
        try:
            self._schema = _schema_of(tool.args_schema)
            all_called = [called_function(function) for function in functions]
        except NotCanonicalError as error:
            raise self._unstable("what it runs, or its schema,", "code", error, None) from None
        super().__init__(all_called[0].function, rules)
        self._codes = tuple(each.function for each in all_called)
        self._called: CalledFunction = all_called[-1 if is_async else 0]
        self._handed = handed_to(tool)
        # Two functions of the user's own may return different values.
        self._is_apart = is_async and len(functions) > 1 and any(map(is_users_code, self._codes))

    @property
    def function(self) -> Any:
        """The function that a call runs."""
        return self._called.function

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> FunctionCall:
        """The call with these arguments, of which the first is the tool. Raises as FunctionKey."""
        tool, *given = args
        self._check_handed(self._handed)
        arguments, passed = self.arguments(tuple(given), kwargs)
        self._check_handed(name for name, value in passed.items() if _is_of_run(value))
        if self._class is not None:
            arguments = {**self._state(tool), **arguments}
        rules = self._rules
        piece = self._counted_piece()
        values = Values(rules.ignore)
        names = self._names_written(values, piece.names) if piece is not None else {}
        owner = self._owner_of(arguments) if rules.ignore and self._class is None else None
        arguments = {name: value for name, value in arguments.items() if name not in rules.ignore}
        values.counts_ids = piece is not None and piece.reads_ids
        counted = self._written(values, arguments, owner)
        document = self._document_of(piece, names, values)
        text = call_text(self.tool_name, {name: value for name, value in passed.items() if name not in rules.ignore})
        identity = Identity(document, "", self.tool_name, limits_tokens=False, counted_prompt=counted)
        return FunctionCall(self.tool_name, text, identity)

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values of all parameters, and of those alone that this call passes: the others were bound before.

        Raises TypeError for arguments that the tool doesn't take.
        """
        called, parameters = self._called, self._parameters
        if parameters is None or not parameters.are_current():
            parameters = self._parameters = Parameters(called.function)
        of_run = OF_TRACES if self._class is not None else OF_TRACES | {"config"}
        given = {name: value for name, value in kwargs.items() if name not in of_run}
        for name in self._handed & self._rules.ignore:
            if parameters.needs(name):
                given.setdefault(name, None)
        leading = called.args if self._class is None else (None,)  # a tool of a class of its own counts by its fields
        bound = parameters.bind((*leading, *args), {**called.kwargs, **given})
        for name in OF_TRACES:
            bound.pop(name, None)
        leading_names = [*bound][: len(leading)]
        if self._class is not None:
            del bound[leading_names[0]]
        bound_before = {*leading_names, *(called.kwargs.keys() - given.keys())}
        return bound, {name: value for name, value in bound.items() if name not in bound_before}

    def _check_handed(self, names: Iterable[str]) -> None:
        if counted := {*names} - self._rules.ignore:
            name = min(counted)
            raise UnstableIdentityError(
                f"tool {self.tool_name}: handed {name}",
                f"nbcache: calls of the tool {self.tool_name} are not cached: whoever runs it hands it {name!r}, which is "
                f"another in each run. To have them cached, pass `ignore=({name!r},)` if no result depends on it",
            )

    def _state(self, tool: BaseTool) -> dict[str, Any]:
        """What a tool of a class of its own holds, by name."""
        if "self" in self._rules.ignore:
            return {}
        left_out = self._rules.ignore | _OF_EVERY_TOOL
        return {f"self.{name}": value for name, value in sorted(held_by(tool).items()) if name not in left_out}

    def _named(self) -> dict[str, Any]:
        place = function_name(self._function) if self._class is None else class_name(self._class)
        interface = {"description": _described(self._description), "schema": self._schema}
        if self._is_apart:
            interface["way"] = "async"
        return {"class": ["tool", place], "model": self.tool_name, "tool": interface}

    def _walked(self) -> "CodePiece":
        if self._class is not None:
            return called_piece(self._class, self._rules.ignore)
        return called_piece(self._function, self._rules.ignore, self._codes[1:])

    def _unstable(
        self, where: str, cause: str, error: NotCanonicalError, ignorable: str | None
    ) -> UnstableIdentityError:
        if type(error) is RunStateError:
            return error.unstable(f"tool {self.tool_name}", f"the tool {self.tool_name}")
        if type(error) is UnstableNameError:
            where, ignorable = f"{where}, by {error.path},", error.path
        advice = "pass `version=` to say yourself when it changes"
        if ignorable is not None:
            advice += f", or `ignore=({ignorable.removeprefix('self.')!r},)` if no result depends on it"
        return UnstableIdentityError(
            f"tool {self.tool_name}: {cause}",
            f"nbcache: calls of the tool {self.tool_name} are not cached: {where} is or holds {error.what}, which can't be told "
            f"apart for sure. To have them cached, {advice}",
        )


def _is_of_run(value: Any) -> bool:
    """Whether a value is one of LangGraph's own: a runtime, a store."""
    return str(type(value).__module__).partition(".")[0] == "langgraph"


def _described(text: str) -> Any:
    return text if len(text) <= _LONGEST else {"!digest": digest_of(text.encode(errors="surrogatepass"))}


def _schema_of(schema: Any) -> str | None:
    """The digest of the schema of a tool's arguments. Raises NotCanonicalError for one that isn't JSON."""
    if schema is None:
        return None
    if not isinstance(schema, dict):
        try:
            schema = TypeAdapter(schema).json_schema()
        except Exception:  # noqa: BLE001 - pydantic raises several kinds; an earlier pydantic's class has a schema, too
            schema = getattr(schema, "schema", dict)() or class_name(schema)
    return digest_of(Values().written(schema))
