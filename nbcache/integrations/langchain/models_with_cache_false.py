"""Calls of a model with `cache=False`: neither looked up nor stored, but paid, and so they count."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial, reduce
from operator import add
from typing import Any, TypeVar

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation, LLMResult

from nbcache.cache.call import Call
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.codec.messages import snapshots
from nbcache.concurrency.strands import call_here
from nbcache.costs.events import Paid
from nbcache.keys.identity import price_identity
from nbcache.keys.json_text import copy_plain
from nbcache.keys.model_names import model_name
from nbcache.keys.request import Identity, document

_R = TypeVar("_R")
_WHY = "uncached"


class UncachedCall:
    """A call that is made past the cache. Once it is answered, its price is counted. No failure here reaches the call."""

    def __init__(self, cache: NotebookCache, call: Call, prompts: Any) -> None:
        self.call = call
        self._cache = cache
        self._prompts = prompts
        self._began = time.perf_counter()
        self._strand, self._started = call_here(self._began, 0.0)
        self._identity = _identity(call)
        number = len(prompts) if not call.is_chat and isinstance(prompts, list) else 1
        self._records = [cache.ledger.missed(None, self._identity.model, _WHY) for _ in range(number)]

    @classmethod
    def of(cls, cache: NotebookCache, call: Call, args: Sequence[Any]) -> "UncachedCall | None":
        """The call that begins here. None within another call of the same model, which is counted instead."""
        outer = call.outer
        return None if outer is not None and outer.model is call.model else cls(cache, call, args[0] if args else None)

    def answered(self, answer: _R) -> _R:
        """Count what `answer`, a result of LangChain's, has cost. Returns it."""
        try:
            if isinstance(answer, ChatResult):
                self._pay(0, answer.generations, answer.llm_output)
            elif isinstance(answer, LLMResult):
                for number, generations in enumerate(answer.generations[: len(self._records)]):
                    self._pay(number, generations, None)
        except Exception as error:  # noqa: BLE001 - whatever a model answers, the user gets it
            self._cache.failed("count an answer", error)
        return answer

    def stepped(self, items: Iterator[Any]) -> Iterator[Any]:
        """The chunks as they come. After the last one their usage is counted."""
        chunks: list[Any] = []
        for item in items:
            chunks.append(item)
            yield item
        self._streamed(chunks)

    async def astepped(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """As `stepped`."""
        chunks: list[Any] = []
        async for item in items:
            chunks.append(item)
            yield item
        self._streamed(chunks)

    def _streamed(self, chunks: list[Any]) -> None:
        try:
            if chunks and all(isinstance(chunk, str) for chunk in chunks):
                self._pay(0, [Generation(text="".join(chunks))], None)
            elif chunks and all(isinstance(chunk, BaseMessage) for chunk in chunks):
                self._pay(0, [ChatGeneration(message=reduce(add, chunks))], None)
        except Exception as error:  # noqa: BLE001 - as above
            self._cache.failed("count an answer", error)

    def _pay(self, number: int, generations: Sequence[Generation], output: Any) -> None:
        prompts = self._prompts
        if isinstance(prompts, list):
            prompts = [prompts[number]] if not self.call.is_chat else prompts.copy()
        answer = partial(_answer, snapshots(generations), copy_plain(output))
        read = partial(self._paid, number, answer, prompts, time.perf_counter())
        self._cache.ledger.paid_unread(self._records[number], read)

    def _paid(self, number: int, answer_of: Callable[[], Sequence[Generation]], prompts: Any, ended: float) -> Paid:
        from nbcache.costs.time_saved import Span  # noqa: PLC0415 - as below
        from nbcache.entry.usage.usage_of_call import usage_of  # noqa: PLC0415 - few calls are made past the cache

        generations = answer_of()
        usage = usage_of(generations, document(self._identity.document), self._identity.endpoint)
        answer = "\n".join(generation.text for generation in generations)
        seconds = (ended - self._began) / len(self._records)
        span = Span(self._strand, self._started, ended, 0.0)
        return Paid(self._records[number], usage, _text(prompts), answer, seconds, stored=False, span=span)


def _answer(copies: Callable[[], list[Generation]], output: Any) -> list[Generation]:
    """The copies of an answer. The first has what LangChain says of the whole answer, as it would put it there."""
    generations = copies()
    if output and isinstance(message := getattr(generations[0], "message", None), BaseMessage):
        message.__dict__["response_metadata"] = {**output, **message.response_metadata}
    return generations


def _text(prompts: Any) -> str:
    """The prompt's text, to estimate its tokens from."""
    from nbcache.entry.text import content_text  # noqa: PLC0415 - as above

    if not isinstance(prompts, list):
        return str(prompts)
    return "\n".join(content_text(getattr(each, "content", each)) for each in prompts)


def _identity(call: Call) -> Identity:
    """What the price of a call depends on. Only the model's name if some of that has no canonical form."""
    try:
        return price_identity(call)
    except Exception:  # noqa: BLE001 - the user's own objects: their call goes on
        return Identity(b"{}", "", model_name(call.langchain_model()), limits_tokens=False)
