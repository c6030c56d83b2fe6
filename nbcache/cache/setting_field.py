"""A setting: its check, its help, and where it can be set. And functions whose arguments are a record of settings."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, cast, get_args, overload

Kind = Literal["text", "texts", "number", "mapping", "object", "flag"]

_Given = TypeVar("_Given")
_Value = TypeVar("_Value")
_P = ParamSpec("_P")
_Self = TypeVar("_Self")
_T = TypeVar("_T")


class Setting(Generic[_Given, _Value]):
    """A field of a frozen dataclass, which holds the checked form of the given value.

    This is a descriptor-typed field, as the docs of `dataclasses` call it: type checkers let the constructor take a
    `_Given`, and reading the field gives a `_Value`.

    Args:
        check: returns the checked form. Raises ValueError, naming the setting.
        help: what the setting does, for the docs, docstrings and `%config`.
        default: the value if none is given, or None.
        kind: what is written for it in `%config NBCache`; None if it can't be set there.
        config: its name there, if that differs.
        from_text: reads the text of its environment variable; None if it has none.
    """

    def __init__(  # noqa: PLR0913 - all that is to say of a setting
        self,
        check: Callable[[Any], _Value],
        help: str,  # noqa: A002 - as traitlets and argparse call it
        *,
        default: Any = None,
        kind: Kind | None = None,
        config: str | None = None,
        from_text: Callable[[str], Any] | None = None,
    ) -> None:
        self.check, self.help, self.default = check, help, default
        self.kind, self.from_text = kind, from_text
        self.name = ""
        self._config = config

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, record: object | None, owner: type | None = None) -> _Value:
        """The checked value. Of the class it is the default, which is where `dataclass` looks for it."""
        return cast("_Value", self.default if record is None else vars(record)[self.name])

    def __set__(self, record: object, given: _Given) -> None:
        value = self.default if given is None else given
        vars(record)[self.name] = None if value is None else self.check(value)

    @property
    def config(self) -> str | None:
        """Its name in `%config NBCache`, if it can be set there."""
        return None if self.kind is None else self._config or self.name

    @property
    def variable(self) -> str | None:
        """Its environment variable, if it has one."""
        return None if self.from_text is None else f"NBCACHE_{self.name.upper()}"


def settings_of(record: type) -> list[Setting[Any, Any]]:
    """The settings that `record` and its base classes declare, in their order."""
    return [each for cls in reversed(record.__mro__) for each in vars(cls).values() if isinstance(each, Setting)]


@overload
def takes(record: Callable[_P, object]) -> Callable[[Callable[[dict[str, Any]], _T]], Callable[_P, _T]]: ...
@overload
def takes(
    record: Callable[_P, object], *, is_method: Literal[True]
) -> Callable[[Callable[[_Self, dict[str, Any]], _T]], Callable[Concatenate[_Self, _P], _T]]: ...


def takes(record: Any, *, is_method: bool = False) -> Any:
    """Decorate a function of a dict of settings: callers pass them as arguments, as to the constructor of `record`.

    Type checkers, `help` and completion show the constructor's signature. The docstring gets a list of the arguments.
    """
    given = _signature(record)
    explained = "\n".join(f"    {setting.name}: {setting.help}." for setting in settings_of(record))

    def decorator(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            refuse_unknown(function, kwargs, given.parameters)
            return function(*args[:is_method], given.bind(*args[is_method:], **kwargs).arguments)

        own = inspect.signature(function)
        leading = list(own.parameters.values())[:is_method]
        wrapper.__signature__ = own.replace(parameters=[*leading, *given.parameters.values()])  # type: ignore[attr-defined]
        wrapper.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nArgs:\n{explained}\n"
        wrapper.__annotations__ = {}  # those of the dict
        return wrapper

    return decorator


def refuse_unknown(function: Callable[..., Any], names: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError if one of `names` is no argument of `function`. The error says which name is nearest."""
    known = list(known)
    for name in names:
        if name not in known:
            import difflib  # noqa: PLC0415 - few need it

            close = difflib.get_close_matches(name, known, 1)
            advice = f"write {close[0]}" if close else f"there are {', '.join(known)}"
            raise TypeError(f"{function.__module__}.{function.__qualname__} has no argument {name!r}: {advice}")


def _signature(record: type) -> inspect.Signature:
    """The signature of the record's constructor, in which a setting has the type of the values that may be given."""
    made = inspect.signature(record)
    return made.replace(
        parameters=[
            parameter.replace(annotation=get_args(parameter.annotation)[0]) for parameter in made.parameters.values()
        ]
    )
