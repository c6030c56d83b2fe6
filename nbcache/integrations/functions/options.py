"""What `nbcache.memoize` is given: checked at once, with what to write instead."""

import inspect
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from types import CodeType, FunctionType

from nbcache.cache.modes import NOTHING_SET, Settings, settings
from nbcache.keys.functions.run_state import READER_NAMES

_EXAMPLE = 'ignore=("client",)'


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of the function's own calls, if any, and what of them doesn't count."""

    own: Settings | None = None
    ignore: frozenset[str] = frozenset()
    version: str | None = None


def checked_options(
    ttl: float | str | timedelta | None, tags: str | Iterable[str], ignore: str | Iterable[str], version: str | None
) -> Options:
    """The options of a memoized function. Raises ValueError or TypeError for a wrong one."""
    is_for_good = isinstance(ttl, str) and ttl.strip().lower() == "none"
    own = settings(None, None if is_for_good else ttl, tags)
    own = replace(own, ttl=math.inf) if is_for_good else own
    if version is not None and not isinstance(version, str):
        raise TypeError(f'version={version!r}: write a text, such as version="2"')
    if version is not None and not version.strip():
        raise ValueError(f'version={version!r}: write a text that says something, such as version="2"')
    return Options(None if own == NOTHING_SET else own, _names(ignore), version)


def _names(ignore: str | Iterable[str]) -> frozenset[str]:
    if isinstance(ignore, str):
        ignore = (ignore,)
    if not isinstance(ignore, Iterable):
        raise TypeError(f"ignore={ignore!r}: write the names of parameters, such as {_EXAMPLE}")
    names = tuple(ignore)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"ignore: {name!r} is no name; write names as text, such as {_EXAMPLE}")
    return frozenset(names)


def check_ignored(function: FunctionType, ignore: frozenset[str]) -> None:
    """Raise ValueError for a name to ignore that is neither a parameter nor used by the code."""
    parameters = inspect.signature(function, follow_wrapped=False).parameters
    if not ignore <= parameters.keys() and any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return
    unknown = ignore - parameters.keys()
    if unknown:
        unknown = unknown - set(used_names(function)) - READER_NAMES
    if unknown:
        raise ValueError(
            f"ignore: {function.__qualname__} has no parameter {min(unknown)!r}, and its code uses no such name; its "
            f"parameters are {', '.join(parameters) or 'none'}"
        )


def used_names(function: FunctionType) -> Iterator[str]:
    """The names that a function's code uses, and those that are used by the functions that it uses."""
    left, seen = [function], {function}
    while left:
        used = left.pop()
        names = set(_names_in(used.__code__))
        yield from names
        values = [used.__globals__.get(name) for name in names]
        for cell in used.__closure__ or ():
            try:
                values.append(cell.cell_contents)
            except ValueError:  # it is not set yet
                continue
        for value in (getattr(each, "__wrapped__", each) for each in values):
            if isinstance(value, FunctionType) and value not in seen:
                seen.add(value)
                left.append(value)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
