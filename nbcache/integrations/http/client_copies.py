"""A copy of an SDK's client that sends by other clients of an HTTP library, for SDKs whose clients make no such copy themselves.

The SDK's own objects are copied, as far as the client's attributes lead, with the methods and functions in them. All else is
shared with the original: so are connections.
"""

import types
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from functools import partial
from typing import Any

from pydantic import BaseModel

from nbcache.integrations.http.httpx_transport import without_finalizer

_ORIGINAL = "_nbcache_original"  # an attribute of a copy: some SDKs close their connections when the original is gone
# The methods by which google-genai and huggingface_hub make clients of an HTTP library, when they are first needed.
_MAKERS = ("_get_aiohttp_session", "_get_async_client")
# A method of huggingface_hub's client, and the function of its module that gives it a client of an HTTP library.
_POST, _GET_CLIENT = "_inner_post", "get_session"


def copy_of_client(client: Any, replace: Callable[[Any], Any]) -> Any:
    """A copy of `client` that sends by others. None if no client of an HTTP library is found in it.

    `replace` returns what the copy has in place of a client of an HTTP library, and None for anything else.
    """
    copies = _Copies(client, replace)
    twin = copies.of(client)
    if twin is client or not copies.replaced:
        return None
    vars(twin)[_ORIGINAL] = client
    return twin


class _Copies:
    """The copies that are made for one client. `replaced` is how many clients of an HTTP library it has."""

    def __init__(self, client: Any, replace: Callable[[Any], Any]) -> None:
        self._replace = replace
        self._packages = {_package(cls) for cls in type(client).__mro__} - {"builtins", "abc", "typing"}
        self._copies: dict[int, tuple[Any, Any]] = {}  # the original, so that its id stays its own, and the copy
        self.replaced = 0

    def of(self, value: Any) -> Any:
        """What the copy of an object has where the object has `value`."""
        if id(value) in self._copies:
            return self._copies[id(value)][1]
        if (other := self._replace(value)) is not None:
            self.replaced += 1
            return self._keep(value, other)
        if type(value) is dict:
            twin = self._keep(value, {})
            twin |= {name: self.of(each) for name, each in value.items()}
            return twin
        if type(value) is list:
            twin = self._keep(value, [])
            twin += map(self.of, value)
            return twin
        if type(value) is tuple:
            return tuple(map(self.of, value))
        if isinstance(value, types.MethodType):
            return types.MethodType(value.__func__, self.of(value.__self__))
        if type(value) is partial:
            return partial(value.func, *map(self.of, value.args), **self.of(value.keywords))
        if isinstance(value, types.FunctionType):
            return self._function(value) if value.__closure__ and self._is_own(value) else value
        is_object = not isinstance(value, type | types.ModuleType) and self._is_own(type(value))
        return self._object(value) if is_object and hasattr(value, "__dict__") else value

    def _is_own(self, value: Any) -> bool:
        return _package(value) in self._packages

    def _keep(self, value: Any, twin: Any) -> Any:
        self._copies[id(value)] = value, twin
        return twin

    def _object(self, value: Any) -> Any:
        kind: Any = type(value)
        cls = without_finalizer(kind)
        twin = self._keep(value, copy(value) if isinstance(value, BaseModel) else cls.__new__(cls))
        vars(twin).update({name: self.of(each) for name, each in vars(value).items() if name != _ORIGINAL})
        for name in _MAKERS:
            if hasattr(cls, name):
                vars(twin)[name] = self._maker(types.MethodType(getattr(cls, name), twin))
                self.replaced += 1
        if _GET_CLIENT in getattr(getattr(cls, _POST, None), "__globals__", ()):
            vars(twin)[_POST] = types.MethodType(self._with_client(getattr(cls, _POST)), twin)
            self.replaced += 1
        return twin

    def _maker(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """A method that makes what the copy has in place of the client that `make` makes."""

        async def make_other(*args: Any, **kwargs: Any) -> Any:
            client = await make(*args, **kwargs)
            return self._replace(client) or client

        return make_other

    def _with_client(self, function: types.FunctionType) -> types.FunctionType:
        """A function that takes another client from its module than the original does."""

        def get_client() -> Any:
            client = function.__globals__[_GET_CLIENT]()
            return self._replace(client) or client

        return _like(function, {**function.__globals__, _GET_CLIENT: get_client}, function.__closure__)

    def _function(self, function: types.FunctionType) -> Any:
        """A function with other variables around it, which may lead to the original client."""
        cells = [types.CellType() for _ in function.__closure__ or ()]
        twin = self._keep(function, _like(function, function.__globals__, tuple(cells)))
        twin.__dict__.update(function.__dict__)
        for cell, original in zip(cells, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # a variable that has no value yet
                cell.cell_contents = self.of(original.cell_contents)
        return twin


def _like(
    function: types.FunctionType, variables: dict[str, Any], closure: tuple[types.CellType, ...] | None
) -> types.FunctionType:
    """The same function with other variables of its module, or other ones around it."""
    twin = types.FunctionType(function.__code__, variables, function.__name__, function.__defaults__, closure)
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def _package(value: Any) -> str:
    """The package of a class or function. `google` is shared by many of them."""
    first, _, rest = str(value.__module__).partition(".")
    return f"google.{rest.partition('.')[0]}" if first == "google" else first
