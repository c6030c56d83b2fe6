"""The parameters of a function, and the values that a call gives them."""

from collections.abc import Mapping
from types import FunctionType
from typing import Any

_VARARGS, _VARKEYWORDS = 4, 8  # flags of compiled code
_FIXED = frozenset({str, int, float, bool, bytes, type(None)})
_MISSING = object()


class Parameters:
    """How a function takes its arguments.

    `inspect.signature` would do the same in twenty times as long.
    """

    __slots__ = (
        "_by_keyword",
        "_defaults",
        "_names",
        "_of",
        "_parts",
        "_positional",
        "_varargs",
        "_varkw",
        "are_fixed",
    )

    def __init__(self, function: FunctionType) -> None:
        code, defaults = function.__code__, function.__defaults__ or ()
        count, keyword_only = code.co_argcount, code.co_kwonlyargcount
        names = code.co_varnames
        self._parts = (code, function.__defaults__, function.__kwdefaults__)
        self._of = function
        self._positional = names[:count]
        self._names = names[: count + keyword_only]
        self._by_keyword = frozenset(names[code.co_posonlyargcount : count + keyword_only])
        self._defaults = {
            **dict(zip(self._positional[count - len(defaults) :], defaults, strict=True)),
            **(function.__kwdefaults__ or {}),
        }
        self.are_fixed = _FIXED.issuperset(map(type, self._defaults.values()))  # no default can change in place
        after = count + keyword_only
        self._varargs = names[after] if code.co_flags & _VARARGS else None
        after += self._varargs is not None
        self._varkw = names[after] if code.co_flags & _VARKEYWORDS else None

    def are_current(self) -> bool:
        """Whether the function still takes its arguments like this: `%autoreload` changes functions in place."""
        code, defaults, keyword_defaults = self._parts
        function = self._of
        return (
            function.__code__ is code
            and function.__defaults__ is defaults
            and function.__kwdefaults__ is keyword_defaults
            and (not keyword_defaults or keyword_defaults.items() <= self._defaults.items())
        )

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The value of each parameter, defaults filled in, in the order of the signature. Raises TypeError."""
        names, positional = self._names, self._positional
        given = len(args)
        if given == len(names) and not kwargs and self._varargs is None and self._varkw is None:
            return dict(zip(positional, args, strict=True))
        values = dict(zip(positional, args, strict=False))
        rest = args[len(positional) :]
        if rest and self._varargs is None:
            raise TypeError("too many positional arguments")
        others = self._keywords(values, kwargs)
        bound = {}
        for name in names:
            value = values.get(name, _MISSING)
            if value is _MISSING and (value := self._defaults.get(name, _MISSING)) is _MISSING:
                raise TypeError(f"missing a required argument: {name!r}")
            bound[name] = value
        if self._varargs is not None:
            bound[self._varargs] = rest
        if self._varkw is not None:
            bound[self._varkw] = dict(sorted(others.items()))
        return bound

    def needs(self, name: str) -> bool:
        """Whether a parameter has this name, and no default."""
        return name in self._names and name not in self._defaults

    @property
    def keywords_name(self) -> str | None:
        """The name of the parameter that takes any keyword argument."""
        return self._varkw

    def _keywords(self, values: dict[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Add the keyword arguments to `values`. Returns those that are for `**kwargs`."""
        others: dict[str, Any] = {}
        for name, value in kwargs.items():
            if name in self._by_keyword:
                if name in values:
                    raise TypeError(f"multiple values for argument {name!r}")
                values[name] = value
            elif self._varkw is None:
                raise TypeError(f"got an unexpected keyword argument {name!r}")
            else:
                others[name] = value
        return others
