"""Values that hold within a `with` block. Threads and tasks of LangChain inherit them with the context.

An interrupt can prevent `__exit__` from running. So a block is also over, in the context in which it began, when the frame
with its `with` no longer runs. A copy of that context keeps the value. For a coroutine's block that can't be told, and need not:
its context is its task's, and ends with it.
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
_GENERATORS = (
    inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
)  # their frames leave the stack at each `yield`, within the block
# A task that goes on with an exception may do so without most of its frames on the stack, in Python 3.11 at least.
_AWAITED = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_OF_WITH = {"BEFORE_WITH", "LOAD_SPECIAL"}  # before Python 3.14, and since


def is_over(var: ContextVar[Any], token: Token[Any] | None, frame: FrameType | None) -> bool:
    """Whether the block of `frame`, which set `var`, has ended without its `__exit__`. If so, `var` is reset."""
    if token is None or frame is None or frame.f_code.co_flags & _AWAITED or is_around(frame):
        return False
    try:
        var.reset(token)
    except (ValueError, RuntimeError):  # it was set in another context, of which this one is a copy
        return False
    return True


class _BlockValue(Generic[_T]):
    """A value, and the frame of its block, if the block ends with that frame."""

    __slots__ = ("frame", "token", "value")

    def __init__(
        self, value: _T, frame: FrameType | None, token: "Token[_BlockValue[_T] | None] | None" = None
    ) -> None:
        self.value = value
        self.frame = frame
        self.token = token


class BlockVar(Generic[_T]):
    """The value of the innermost block around the running code."""

    def __init__(self, name: str) -> None:
        self.var: ContextVar[_BlockValue[_T] | None] = ContextVar(name, default=None)
        self.holder = (
            self.var.get
        )  # None if no block sets a value: a hit looks here first, since this is no Python function

    def get(self) -> _T | None:
        """The value, if any."""
        while (block := self.var.get()) is not None:
            if not is_over(self.var, block.token, block.frame):
                return block.value
        return None

    def change(self, value: _T) -> None:
        """Replace the value for the rest of the block."""
        block = self.var.get()
        if block is not None:
            self.var.set(_BlockValue(value, block.frame, block.token))


class Block(ContextDecorator, Generic[_T]):
    """A `with` block whose value `make` computes from the value around it."""

    def __init__(self, var: BlockVar[_T], make: Callable[[_T | None], _T]) -> None:
        self._var = var
        self._make = make
        self._block: _BlockValue[_T] | None = None

    def __enter__(self) -> None:
        frame = sys._getframe(1)  # noqa: SLF001 - the frame with the block
        var = self._var.var
        value = self._make(self._var.get())
        before = var.get()
        block = self._block = _BlockValue(value, frame if _begins_a_block(frame) else None)
        try:
            block.token = var.set(block)
        except BaseException:
            var.set(before)
            raise

    def __exit__(self, *_: object) -> None:
        block, self._block = self._block, None
        if block is not None and block.token is not None:
            with suppress(ValueError, RuntimeError):  # a generator that runs in several contexts
                self._var.var.reset(block.token)
            block.frame = None

    def _recreate_cm(self) -> Self:
        return type(self)(self._var, self._make)


def _begins_a_block(frame: FrameType) -> bool:
    """Whether `frame` is at a `with` and stays on its stack until the block ends. An ExitStack does not."""
    code, at = frame.f_code, frame.f_lasti
    if code.co_flags & _GENERATORS or at < 2:
        return False
    return not _OF_WITH.isdisjoint(opcode.opname[code.co_code[index]] for index in (at, at - 2))
