"""Blocks whose values hold within them, whatever becomes of the code in them."""

import asyncio
from collections.abc import AsyncIterator

from nbcache.concurrency.context_blocks import Block, BlockVar


async def test_a_value_holds_in_a_coroutine_that_goes_on_after_an_exception() -> None:
    var = BlockVar[int]("test")

    async def inner() -> int | None:
        raised = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(raised.set_exception, LookupError())
        try:
            await raised
        except LookupError:
            return var.get()
        raise AssertionError

    async def items() -> AsyncIterator[int | None]:
        yield await inner()

    with Block(var, lambda _: 1):
        async for item in items():
            assert item == 1
    assert var.get() is None
