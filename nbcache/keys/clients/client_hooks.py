"""Code of the user's that a client runs for a request. It may change where the request goes, or what is sent.

It can be in a hook, a transport or the `auth` of an HTTP client, a handler of AWS's events, the client's own class, or a
method that was replaced on a client.
"""

import functools
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nbcache.keys import usercode
from nbcache.keys.canonical import NotCanonicalError, canonical, is_users_code

_HOOKS = ("_event_hooks", "_auth", "_transport", "_mounts")
_HTTP_CLIENTS = {"httpx", "httpx2", "openai", "anthropic", "groq", "langchain_openai", "langchain_anthropic", "nbcache"}
_AUTHENTICATING = ("key", "token", "credential", "auth")
# A handler of langchain-aws. It sends the `default_headers` of a Bedrock model.
_HEADERS_HANDLER = "_add_custom_headers"
_PLAIN = (str, bytes, int, float, list, tuple, dict, type(None))
_DEEPEST = 5  # objects within objects
Look = tuple[Callable[[Any], Any], Any, Any]


class ClientCode:
    """The user's code that a client runs.

    Attributes:
        counted: what counts of that code, as values that have a canonical form.
        attributes: (owner, name, value, content) of each attribute that must not change.
        namespaces: the namespaces in which no further name may be set.
        looks: (function, value, result) of what has to be computed again to see whether it has changed.
    """

    def __init__(self, client: Any) -> None:
        self.counted: list[Any] = []
        self.attributes: list[tuple[Any, str, Any, Any]] = []
        self.namespaces: list[dict[str, Any]] = []
        self.looks: list[Look] = []
        for name in _HOOKS:
            self._hook(client, name)
        self._events(client)
        self._replaced(client)
        if _is_users_class(type(client)):  # type: ignore[arg-type]
            self._add(_counted(client), _counted_form, client)

    def _hook(self, client: Any, name: str) -> None:
        """Read one attribute of a client that may hold code: a function, an object, or a mapping of them."""
        value = getattr(client, name, None)
        if value is None or is_mock(client):
            return
        hooks, content = _hooks_in(value)
        self.attributes.append((client, name, value, content))
        counted: list[Any] = []
        for hook in hooks:
            if hook is None:
                continue
            if _is_librarys(hook):
                if (path := socket_of(hook)) is not None:
                    counted.append(path)
            elif name == "_auth" and not _is_users(hook):
                counted.append({"!auth": f"{type(hook).__module__}.{type(hook).__qualname__}"})
            else:
                counted.append(_counted(hook))
                self._look(_counted_form, hook)
        if counted:
            self.counted.append(counted)

    def _events(self, client: Any) -> None:
        """Read the handlers of botocore's events, which may change a request before it is signed and sent."""
        emitter = getattr(client, "events", None)
        inner = getattr(emitter, "_emitter", emitter)
        if inner is None or not type(inner).__module__.startswith("botocore."):
            return
        self.attributes.append((inner, "_lookup_cache", inner._lookup_cache, None))  # noqa: SLF001 - botocore replaces it with each new handler
        for handler in _handlers(inner._handlers._root):  # noqa: SLF001
            if getattr(handler, "__name__", "") == _HEADERS_HANDLER and not _is_users(handler):
                self.counted.append(_HEADERS_HANDLER)
            elif _is_users(handler):
                self._add(handler, canonical, handler)

    def _replaced(self, client: Any) -> None:
        """Read the user's functions that were set on a client, for example in place of a method."""
        namespace = getattr(client, "__dict__", None)
        if type(namespace) is not dict:
            return
        self.namespaces.append(namespace)
        names = [
            name for name, value in namespace.items() if callable(value) and name not in _HOOKS and _is_users(value)
        ]
        for name in sorted(names):
            if not any(word in name.lower() for word in _AUTHENTICATING):
                self._add([name, namespace[name]], canonical, namespace[name])
                self.attributes.append((client, name, namespace[name], None))

    def _add(self, counted: Any, look: Callable[[Any], Any], value: Any) -> None:
        self.counted.append(counted)
        self._look(look, value)

    def _look(self, look: Callable[[Any], Any], value: Any) -> None:
        try:
            self.looks.append((look, value, look(value)))
        except NotCanonicalError:
            return  # then the identity has no canonical form either, and the call is not cached


def _hooks_in(value: Any) -> tuple[list[Any], dict[Any, Any] | None]:
    """The hooks in an attribute's value, and a copy of the value if it is a mapping."""
    if not isinstance(value, Mapping):
        return [value], None
    content = {key: list(hooks) if isinstance(hooks, list) else hooks for key, hooks in value.items()}
    return [hook for hooks in content.values() for hook in (hooks if isinstance(hooks, list) else [hooks])], content


def socket_of(transport: Any) -> str | None:
    """The path of the Unix socket by which a transport of httpx sends, whatever the URL is."""
    path = getattr(getattr(transport, "_pool", None), "_uds", None)
    return None if path is None else str(path)


def _counted(value: Any, depth: int = _DEEPEST) -> Any:
    """What counts of an object of a user's class: the class's code, and the attributes that it reads.

    Other attributes don't count: a transport has other connections after each call. A function counts as a whole.
    """
    cls = type(value)
    if not any(map(is_users_code, cls.__mro__)) or isinstance(value, types.FunctionType | types.MethodType):
        return value
    attributes, reads = getattr(value, "__dict__", {}), usercode.piece_of(cls).reads
    read = {name: attributes[name] for name in sorted(attributes) if name in reads}
    return [
        cls,
        {
            name: _counted(each, depth - 1) if _is_users(each) and depth else each
            for name, each in read.items()
            if isinstance(each, _PLAIN) or _is_users(each)
        },
    ]


def _counted_form(value: Any) -> bytes:
    return canonical(_counted(value))


@functools.lru_cache(maxsize=1024)
def _is_users_class(cls: type) -> bool:
    return _is_mock_class(cls) or any(map(is_users_code, cls.__mro__))


def _is_users(value: Any) -> bool:
    """Whether to call `value` is to run the user's code. A mock counts as the user's."""
    if isinstance(value, types.FunctionType):
        return is_users_code(value)
    if isinstance(value, types.MethodType):
        return _is_users(value.__func__)
    if isinstance(value, functools.partial):
        return _is_users(value.func)
    return not isinstance(value, type | types.BuiltinFunctionType) and _is_users_class(type(value))  # type: ignore[arg-type]


def is_mock(value: Any) -> bool:
    """Whether a value is one of `unittest.mock`: it has every attribute."""
    return _is_mock_class(type(value))  # type: ignore[arg-type]


@functools.lru_cache(maxsize=1024)
def _is_mock_class(cls: type) -> bool:
    return any(base.__module__ == "unittest.mock" for base in cls.__mro__)


def _is_librarys(hook: Any) -> bool:
    kind = hook if isinstance(hook, type) or hasattr(hook, "__qualname__") else type(hook)
    return (getattr(kind, "__module__", None) or "").partition(".")[0] in _HTTP_CLIENTS


def _handlers(node: dict[str, Any]) -> Iterator[Any]:
    for values in node["values"] or ():
        yield from values
    for _, child in sorted(node["children"].items()):
        yield from _handlers(child)
