"""What of compiled code can change what it does: its instructions, not its lines, docstrings and local names."""

import bisect
import dis
import functools
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import CodeType
from typing import Any

_LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "STORE_ATTR", "DELETE_ATTR"}
_NOTHING = {"CACHE", "EXTENDED_ARG", "NOP"}
_JUMPS = frozenset({*dis.hasjrel, *dis.hasjabs})
_ONWARD = {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"}
_DIRECTION = re.compile("_(?:FORWARD|BACKWARD)")
_MAKING = {"MAKE_FUNCTION", "SET_FUNCTION_ATTRIBUTE"}
# In a class body: where it is written, and what Python derives from it.
_POSITIONS = {"__firstlineno__", "__static_attributes__"}
_ALL_LOCALS = {"locals", "vars", "dir", "eval", "exec", "currentframe", "_getframe", "stack"}
_NULL_COMES_FIRST = sys.version_info < (3, 13)  # before a function that is called, not after it
_HAS_DOCSTRING = getattr(inspect, "CO_HAS_DOCSTRING", 0)
# The flags that say what kind of function it is. Others tell of docstrings, and of imports from __future__.
_KINDS = 0xFFFF
_FUNCTION = inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS


@dataclass(frozen=True, slots=True)
class CompiledCode:
    """What counts of some code and of the functions within it.

    Attributes:
        handed_on: names whose value does not only get called or asked for an attribute: it may be passed to anything.
        docstrings: of the functions within it, by name.
    """

    digest: str
    handed_on: frozenset[str]
    docstrings: tuple[tuple[str, str], ...]


@functools.lru_cache(maxsize=2048)
def compiled_code(code: CodeType) -> CompiledCode:
    """What counts of `code`. Each code object is read once."""
    hasher = hashlib.sha256()
    handed_on: set[str] = set()
    docstrings: list[tuple[str, str]] = []
    _read(code, hasher, handed_on, docstrings)
    return CompiledCode(hasher.hexdigest()[:32], frozenset(handed_on), tuple(docstrings))


def docstring_in(code: CodeType) -> str | None:
    """The docstring of a function, from its code."""
    if not code.co_consts or code.co_name.startswith("<") or code.co_flags & _FUNCTION != _FUNCTION:
        return None
    if _HAS_DOCSTRING and not code.co_flags & _HAS_DOCSTRING:
        return None
    first = code.co_consts[0]
    return first if isinstance(first, str) else None


def _read(code: CodeType, hasher: Any, handed_on: set[str], docstrings: list[tuple[str, str]]) -> None:
    arguments = (
        code.co_argcount
        + code.co_kwonlyargcount
        + sum(map(bool, (code.co_flags & inspect.CO_VARARGS, code.co_flags & inspect.CO_VARKEYWORDS)))
    )
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _KINDS)
    reads_locals = not _ALL_LOCALS.isdisjoint(code.co_names)
    named = code.co_varnames if reads_locals else code.co_varnames[:arguments]
    _write(hasher, "code", code.co_name, repr(counts), *named)
    _write(hasher, "cells", *code.co_cellvars)
    _write(hasher, "free", *code.co_freevars)
    steps = [step for step in dis.get_instructions(code) if step.opname not in _NOTHING]
    place = _places(steps)
    for entry in _handlers(code):
        _write(hasher, "handled", *(str(place(at)) for at in (entry.start, entry.end, entry.target)), str(entry.depth))
    for at, step in enumerate(steps):
        after = steps[at + 1] if at + 1 < len(steps) else None
        if after is not None and after.opname == "STORE_NAME" and _is_apart(code, after.argval):
            continue
        _write_step(hasher, code, step, place)
        if step.opcode in dis.hasconst and isinstance(step.argval, CodeType):
            _note_function(step.argval, steps[at + 1 :], handed_on, docstrings)
            _read(step.argval, hasher, handed_on, docstrings)
        elif _is_handed_on(steps, at):
            handed_on.update([step.argval] if isinstance(step.argval, str) else step.argval)


def _is_apart(code: CodeType, name: str) -> bool:
    """Whether the value of this name, in a class body or a module, is no part of what the code does."""
    return name in _POSITIONS or (name == "__doc__" and code.co_name == "<module>")


def _places(steps: list[dis.Instruction]) -> Callable[[int], int]:
    """Which step is at an offset. Steps that do nothing are only there for the sake of lines, so offsets don't count."""
    offsets = [step.offset for step in steps]

    def place(offset: int) -> int:
        at = bisect.bisect_left(offsets, offset)
        for _ in steps:  # whether a jump to a jump takes the short way depends on lines, too
            if at >= len(steps) or steps[at].opname not in _ONWARD:
                break
            at = bisect.bisect_left(offsets, steps[at].argval)
        return at

    return place


def _handlers(code: CodeType) -> list[Any]:
    """Which steps are within `try` blocks, and where their handlers are."""
    return dis.Bytecode(code).exception_entries if code.co_exceptiontable else []  # type: ignore[attr-defined]


def _write_step(hasher: Any, code: CodeType, step: dis.Instruction, place: Callable[[int], int]) -> None:
    if step.opcode in _JUMPS:
        _write(hasher, _DIRECTION.sub("", step.opname), str(place(step.argval)))
    elif step.opname == "KW_NAMES":  # the names of keyword arguments, before Python 3.13
        _write(hasher, "keywords", *code.co_consts[step.arg or 0])
    elif step.opcode in dis.hasconst:
        _write(hasher, step.opname, *([] if isinstance(step.argval, CodeType) else _constant(step.argval)))
    elif step.opcode in dis.hasname:
        _write(hasher, step.opname, str(step.argval))
    else:
        _write(hasher, step.opname, str(step.arg))


def _constant(value: Any) -> list[str]:
    """A constant in compiled code, whose type counts. One in a set has no place of its own."""
    cls = type(value)
    if cls is tuple:
        return ["(", *(part for item in value for part in _constant(item)), ")"]
    if cls is frozenset:
        return ["{", *sorted("\0".join(_constant(item)) for item in value), "}"]
    if cls is slice:
        return ["slice", *_constant((value.start, value.stop, value.step))]
    if cls is int:
        return ["int", hex(value)]
    return [cls.__name__, value if cls is str else repr(value)]


def _write(hasher: Any, *parts: str) -> None:
    written = [part.encode(errors="surrogatepass") for part in parts]
    hasher.update(b"%d;" % len(written) + b"".join([b"%d:%b" % (len(part), part) for part in written]))


def _note_function(
    code: CodeType, after: Iterable[dis.Instruction], handed_on: set[str], docstrings: list[tuple[str, str]]
) -> None:
    """Note the docstring of a function within a function. One that is decorated is handed on."""
    if (docstring := docstring_in(code)) is None:
        return
    docstrings.append((code.co_name, docstring))
    following = next((step.opname for step in after if step.opname not in _MAKING), "")
    if not following.startswith("STORE_"):
        handed_on.add(code.co_name)


def _is_handed_on(steps: list[dis.Instruction], at: int) -> bool:
    """Whether the value that `steps[at]` loads is used for more than to call it or to read an attribute."""
    step = steps[at]
    if step.opname not in _LOADS and not step.opname.startswith("LOAD_FAST"):
        return False
    after = steps[at + 1].opname if at + 1 < len(steps) else ""
    if (
        after in _ATTRIBUTES | {"CHECK_EXC_MATCH"}
        or (after == "PUSH_NULL" and not _NULL_COMES_FIRST)
        or step.opname == "LOAD_METHOD"
    ):
        return False
    if at and _NULL_COMES_FIRST and steps[at - 1].opname == "PUSH_NULL":
        return False
    is_flagged = step.opname == "LOAD_GLOBAL" or (step.opname == "LOAD_ATTR" and "LOAD_METHOD" not in dis.opmap)
    return not ((is_flagged or step.opname == "LOAD_SUPER_ATTR") and step.arg is not None and step.arg & 1)
