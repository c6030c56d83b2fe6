"""What calls of the user's code change themselves: counts, logs and memories are their state, not settings.

It is names in the code that a call runs, beginning with the methods that LangChain calls. A method that only the user calls
(`def set_style(self, style)`) doesn't belong to it: what such a method sets is a setting.
"""

import functools
import types
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from nbcache.keys.usercode.bytecode_names import References, references
from nbcache.keys.usercode.origin import is_users_code, original_of

_ENTRIES = {
    *("_call", "_acall", "_generate", "_agenerate", "_stream", "_astream", "_generate_with_cache"),
    *("_agenerate_with_cache", "_convert_input", "_identifying_params", "_get_ls_params"),
    *("embed_documents", "embed_query", "aembed_documents", "aembed_query", "__call__"),
    *("invoke", "ainvoke", "stream", "astream", "generate", "agenerate", "batch", "abatch"),
}
_MOST = 2000  # functions that are read; what further ones change counts as settings
_CONTAINERS = (list, dict, set, bytearray, deque)
_NUMBERS = (int, float)


@dataclass(slots=True)
class State:
    """The names that calls change.

    Attributes:
        names: globals and cells, by the id of their namespace or cell.
        grown: attributes that calls add to, or whose containers they change.
        lazy: private attributes that calls set, such as a client that the first one makes.
        consulted: names that calls read for more than to change their object.
        rebound: names to which calls give another value.
    """

    names: set[tuple[int, str]] = field(default_factory=set)
    grown: set[str] = field(default_factory=set)
    lazy: set[str] = field(default_factory=set)
    consulted: set[str] = field(default_factory=set)
    rebound: set[str] = field(default_factory=set)

    def is_consulted(self, name: str, value: Any) -> bool:
        """Whether calls read the content of `value`, a container that they change but did not make."""
        return name in self.consulted and name not in self.rebound and isinstance(value, _CONTAINERS)

    def holds(self, owner: Any, name: str, value: Any) -> bool:
        """Whether the value of `name` in `owner`, a namespace or a cell, is state."""
        return (id(owner), name) in self.names and not isinstance(value, type | types.FunctionType | types.ModuleType)

    def is_state(self, name: str, value: Any) -> bool:
        """Whether the attribute `name` with this value is state."""
        if name in self.grown:
            return isinstance(value, _CONTAINERS) or (isinstance(value, _NUMBERS) and not isinstance(value, bool))
        return name in self.lazy


def state_of(root: Any) -> State:
    """What the calls of `root`, a class or function of the user's, change."""
    return _Search(root).state


def stores_attribute(cls: type, name: str, methods: Collection[str]) -> bool:
    """Whether one of these methods of a class, or a method that they call, sets the attribute `name`."""
    pending, visited = list(methods), set[str]()
    while pending:
        method = pending.pop()
        if method in visited:
            continue
        visited.add(method)
        for base in cls.__mro__:
            for function in functions_in(vars(base).get(method)):
                names = references(function.__code__)
                if name in names.stored:
                    return True
                pending += names.attributes
    return False


class _Search:
    """The search for the code that a call of one class or function runs, by the names in it."""

    def __init__(self, root: Any) -> None:
        self.state = State()
        self._functions: dict[int, types.FunctionType] = {}
        self._pending: deque[types.FunctionType] = deque()
        self._methods: dict[str, list[types.FunctionType]] = {}
        self._read: set[str] = set()
        self._classes: set[type] = set()
        if isinstance(root, type):
            self._add_class(root)
            entries = _ENTRIES & self._methods.keys() or self._methods.keys()
            for name in [*entries]:
                self._add_attribute(name)
        else:
            self._add_value(root)
        while self._pending and len(self._functions) < _MOST:
            self._follow(self._pending.popleft())

    def _follow(self, function: types.FunctionType) -> None:
        names = references(function.__code__)
        self._note(function, names)
        for name in names.attributes:
            self._add_attribute(name)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
        for head, *attributes in names.globals:
            self._add_chain(function.__globals__.get(head), attributes)
        for head, *attributes in names.cells:
            if head in cells:
                self._add_chain(_content(cells[head]), attributes)

    def _note(self, function: types.FunctionType, names: References) -> None:
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
        for name in names.written:
            owner = cells.get(name, function.__globals__)
            self.state.names.add((id(owner), name))
        self.state.grown |= names.grown
        self.state.consulted |= names.consulted
        if function.__name__ not in {"__init__", "__new__", "__post_init__", "model_post_init", "__setstate__"}:
            self.state.rebound |= names.rebound
            self.state.lazy |= {name for name in names.stored if name.startswith("_") and not name.startswith("__")}

    def _add_chain(self, value: Any, attributes: list[str]) -> None:
        for name in attributes:
            if not isinstance(value, types.ModuleType):
                break
            value = vars(value).get(name)
        self._add_value(value)

    def _add_value(self, value: Any) -> None:
        value = original_of(value)
        if isinstance(value, types.FunctionType):
            if id(value) not in self._functions:
                self._functions[id(value)] = value
                if is_users_code(value):
                    self._pending.append(value)
                for cell in value.__closure__ or ():
                    self._add_value(_content(cell))
        elif isinstance(value, type):
            self._add_class(value)
            for name in ("__init__", "__new__"):
                self._add_attribute(name)
        elif type(value) not in _PLAIN:
            self._add_value(value.__wrapped__ if type(value) is _CACHED else type(value))

    def _add_class(self, cls: type) -> None:
        for base in cls.__mro__:
            if base in self._classes or not is_users_code(base):
                continue
            self._classes.add(base)
            for name, member in vars(base).items():
                for function in functions_in(member):
                    self._methods.setdefault(name, []).append(function)
                    if name in self._read:
                        self._add_value(function)

    def _add_attribute(self, name: str) -> None:
        if name not in self._read:
            self._read.add(name)
            for function in self._methods.get(name, ()):
                self._add_value(function)


_PLAIN = {str, int, float, bool, bytes, type(None), list, dict, tuple, set, frozenset, types.ModuleType}
_CACHED = type(functools.lru_cache(state_of))
_FUNCTION_ATTRIBUTES: dict[type, tuple[str, ...]] = {
    property: ("fget", "fset"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    functools.cached_property: ("func",),
    functools.partialmethod: ("func",),
    functools.singledispatchmethod: ("func",),
    _CACHED: ("__wrapped__",),
}


def functions_in(member: Any) -> Iterator[types.FunctionType]:
    """The functions of a member of a class: a method, a property, a cached function."""
    member = original_of(member)
    for function in (member, *(getattr(member, name) for name in _FUNCTION_ATTRIBUTES.get(type(member), ()))):
        if isinstance(function, types.FunctionType):
            yield function


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return None
