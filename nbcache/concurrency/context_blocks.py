"""Values that hold within a `with` block, following the context as LangChain's own threads and tasks do.

An interrupt can keep the end of a block from being told. So a block that was begun by a `with` is over once the frame
of that `with` runs no more, in the context in which it was begun; a copy of that context keeps what it was begun with.
"""

import inspect
import opcode
import sys
from collections.abc import Callable
from contextlib import ContextDecorator, suppress
from contextvars import ContextVar, Token
from types import FrameType
from typing import Any, Generic, Self, TypeVar

from nbcache.concurrency.running_frames import is_around

_T = TypeVar("_T")
_GENERATORS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR  # they rest on no stack, and their blocks go on
_OF_WITH = {"BEFORE_WITH", "LOAD_SPECIAL"}  # before Python 3.14, and since


def is_over(var: ContextVar[Any], token: Token[Any] | None, frame: FrameType | None) -> bool:
    """Whether the block of `frame`, which set `var`, was left without a word. If so, it is put back."""
    if token is None or frame is None or is_around(frame):
        return False
    try:
        var.reset(token)
    except (ValueError, RuntimeError):  # set in another context, of which this is a copy
        return False
    return True


class _Held(Generic[_T]):
    """A value, and the block that it holds in: its frame, if that tells when it is over."""

    __slots__ = ("frame", "token", "value")

    def __init__(self, value: _T, frame: FrameType | None, token: "Token[_Held[_T] | None] | None" = None) -> None:
        self.value = value
        self.frame = frame
        self.token = token


class BlockVar(Generic[_T]):
    """What holds in the innermost block here."""

    def __init__(self, name: str) -> None:
        self.var: ContextVar[_Held[_T] | None] = ContextVar(name, default=None)

    def get(self) -> _T | None:
        """The value, if any."""
        while (held := self.var.get()) is not None:
            if not is_over(self.var, held.token, held.frame):
                return held.value
        return None

    def change(self, value: _T) -> None:
        """Let `value` hold for the rest of the block."""
        held = self.var.get()
        if held is not None:
            self.var.set(_Held(value, held.frame, held.token))


class Block(ContextDecorator, Generic[_T]):
    """A block in which the value holds that `make` makes of the one around it."""

    def __init__(self, var: BlockVar[_T], make: Callable[[_T | None], _T]) -> None:
        self._var = var
        self._make = make
        self._held: _Held[_T] | None = None

    def __enter__(self) -> None:
        frame = sys._getframe(1)  # noqa: SLF001 - the frame with the block
        var = self._var.var
        value = self._make(self._var.get())
        before = var.get()
        held = self._held = _Held(value, frame if _begins_a_block(frame) else None)
        try:
            held.token = var.set(held)
        except BaseException:
            var.set(before)
            raise

    def __exit__(self, *_: object) -> None:
        held, self._held = self._held, None
        if held is not None and held.token is not None:
            with suppress(ValueError, RuntimeError):  # a generator that is read in several contexts: each is its own
                self._var.var.reset(held.token)
            held.frame = None

    def _recreate_cm(self) -> Self:
        return type(self)(self._var, self._make)


def _begins_a_block(frame: FrameType) -> bool:
    """Whether `frame` is at a `with`, and rests on a stack for as long as its block: not that of an ExitStack."""
    code, at = frame.f_code, frame.f_lasti
    if code.co_flags & _GENERATORS or at < 2:
        return False
    return not _OF_WITH.isdisjoint(opcode.opname[code.co_code[place]] for place in (at, at - 2))
