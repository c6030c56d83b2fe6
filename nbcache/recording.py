"""One stream of a model's chunks: found and played, or made, recorded and kept."""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from langchain_core.rate_limiters import BaseRateLimiter

from nbcache import codec
from nbcache.cache import NotebookCache
from nbcache.call import Call, current_call
from nbcache.chunks import as_chunk
from nbcache.decoded import Answer
from nbcache.errors import NotStorableError
from nbcache.threads import in_thread

Chunk = GenerationChunk | ChatGenerationChunk


class Unhurried(BaseRateLimiter):
    """A model's rate limiter, for which chunks that are played don't wait."""

    def __init__(self, limiter: BaseRateLimiter) -> None:
        self.limiter = limiter

    def acquire(self, *, blocking: bool = True) -> bool:
        """Wait, unless nothing is sent or `Recording.acquire` will do it."""
        return _waits_later() or self.limiter.acquire(blocking=blocking)

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """As `acquire`."""
        return _waits_later() or await self.limiter.aacquire(blocking=blocking)


def _waits_later() -> bool:
    call = current_call.get()
    return call is not None and (call.is_stream or call.replay is not None)


class Recording:
    """The chunks of `call`. Asked for by `invoke` they are LangChain's to look up and store; else it is done here."""

    def __init__(
        self, call: Call, model: Any, cache: NotebookCache | None, prompt: Any, args: Mapping[str, Any]
    ) -> None:
        self.call = call
        self.model = call.model  # not a copy of it: what it counts, it counts in itself
        self._limiter = getattr(model, "rate_limiter", None)
        self._cache = cache
        self._owner = _cache_of(model)
        self._prompt, self._llm_string = ("", "") if cache is None else _told(call, prompt, args)
        self._raw: list[Chunk] = []
        self._refused = False
        self._handed_out = 0.0
        call.chunks = []

    @classmethod
    def of(cls, active: bool, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> "Recording | None":  # noqa: FBT001
        """The recording of the stream that begins here; None where there is none to be made."""
        call = current_call.get()
        if not active or call is None or call.chunks is not None or not _is_called_by(call, model):
            return None  # nobody's call, or the class's own method calls that of its base
        cache = None
        if call.is_stream:
            cache = _cache_of(model)
            if cache is None or _has_choices(model, kwargs):
                return None
        elif not call.is_chat:
            return None
        prompt = args[0] if args else kwargs.get("messages", kwargs.get("prompt"))
        told = {name: value for name, value in kwargs.items() if name not in {"messages", "prompt", "run_manager"}}
        if len(args) > 1:
            told["stop"] = args[1]
        try:
            return cls(call, model, cache, prompt, told)
        except Exception as error:  # noqa: BLE001 - whatever fails, the stream goes on
            if cache is not None:
                cache.failed("work out what a stream asks for", error)
            return None

    def find(self) -> Answer | None:
        """The answer whose chunks are to be played, if there is one."""
        if self._cache is None:
            return self.call.replay
        return self._cache.find(self._prompt, self._llm_string, self.call)

    async def afind(self) -> Answer | None:
        """As `find`."""
        if self._cache is None:
            return self.call.replay
        return await self._cache.afind(self._prompt, self._llm_string, self.call)

    def played(self, found: Answer) -> Iterator[Chunk]:
        """The chunks as they were recorded; one, where the answer didn't come in chunks."""
        chunks = codec.read(found.payload, codec.key_of(found.payload)).chunks(self.call.classes())
        first = next(chunks, None) or as_chunk(found.generations[0])
        for chunk in itertools.chain((first,), chunks):
            if isinstance(chunk, ChatGenerationChunk):
                chunk.message.id = None  # LangChain gives all chunks of a stream the id of its run
            yield chunk
            if chunk is first and isinstance(chunk, ChatGenerationChunk) and self._owner is not None:
                self._owner.recognize(chunk.message, found)

    def acquire(self) -> None:
        """Wait for the model's rate limiter: a call is made."""
        if self._cache is not None and isinstance(self._limiter, Unhurried):
            self._limiter.limiter.acquire(blocking=True)

    async def aacquire(self) -> None:
        """As `acquire`."""
        if self._cache is not None and isinstance(self._limiter, Unhurried):
            await self._limiter.limiter.aacquire(blocking=True)

    def add(self, chunk: Chunk) -> None:
        """Note a chunk as it came: whoever gets it may change it."""
        self._raw.append(chunk)
        self._handed_out = time.perf_counter()
        if self._refused or self.call.chunks is None:
            return
        try:
            self.call.chunks.append(codec.plain(chunk))
        except NotStorableError:
            self._refused = True

    def go_on(self) -> None:
        """The reader wants the next: what it did meanwhile is not the model's time."""
        self.call.idle += time.perf_counter() - self._handed_out

    def keep(self) -> None:
        """All have come: store the answer that they make, unless LangChain is going to."""
        self.call.whole = bool(self._raw) and not self._refused
        if self._cache is None or not self._raw:
            return
        try:
            answer = self._answer()
        except Exception as error:  # noqa: BLE001 - the reader has all chunks, and is not to be disturbed
            self._cache.failed("put the chunks of a stream together", error)
            return
        self._cache.keep(self._prompt, self._llm_string, answer, self.call)

    async def akeep(self) -> None:
        """As `keep`, in a thread: a write never runs on an event loop."""
        await in_thread(self.keep)

    def _answer(self) -> list[Generation]:
        """What `invoke` would have answered."""
        chunks = self._raw
        if self.call.whole and self.call.chunks is not None:
            chunks = codec.restored(self.call.chunks, self.call.classes())
        whole = _joined(chunks) if self.call.is_chat else _joined_text(chunks)
        if isinstance(whole, ChatGeneration):
            first = self._raw[0]
            whole.message.id = first.message.id if isinstance(first, ChatGenerationChunk) else None
            if getattr(self.model, "output_version", None) == "v1":
                whole.message = _as_blocks(whole.message)
        return [whole]


def _is_called_by(call: Call, model: Any) -> bool:
    return call.model is model or isinstance(getattr(model, "rate_limiter", None), Unhurried)


def _cache_of(model: Any) -> NotebookCache | None:
    """The cache that LangChain would ask for an `invoke`, where it is one of ours."""
    if model.cache is False:
        return None
    cache = model.cache if isinstance(model.cache, BaseCache) else get_llm_cache()
    return cache if isinstance(cache, NotebookCache) else None


def _has_choices(model: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether several answers are asked for: streamed, their chunks run together."""
    number = kwargs.get("n") or getattr(model, "n", None)
    return isinstance(number, int) and number > 1


def _told(call: Call, prompt: Any, args: Mapping[str, Any]) -> tuple[str, str]:
    """The prompt and the `llm_string` that LangChain would look up for an `invoke`."""
    model: Any = call.model
    if not call.is_chat:
        params = model._dict_for_compat() if hasattr(model, "_dict_for_compat") else model.dict()  # noqa: SLF001
        return prompt, str(sorted({**params, "stop": args.get("stop")}.items()))
    messages = [m.model_copy(update={"id": None}) if getattr(m, "id", None) is not None else m for m in prompt]
    return dumps(messages), model._get_llm_string(**args)  # noqa: SLF001 - as LangChain does


def _joined(chunks: Sequence[Any]) -> ChatGeneration:
    for chunk in chunks:
        chunk.message.response_metadata = {**(chunk.generation_info or {}), **chunk.message.response_metadata}
    return generate_from_stream(iter(chunks)).generations[0]


def _joined_text(chunks: Sequence[Chunk]) -> Generation:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk  # type: ignore[operator]
    return Generation(text=whole.text, generation_info=whole.generation_info)


def _as_blocks(message: BaseMessage) -> BaseMessage:
    """A message of `output_version="v1"`, as LangChain makes it at the end of an `invoke`."""
    metadata = {**message.response_metadata, "output_version": "v1"}
    return message.model_copy(update={"content": message.content_blocks, "response_metadata": metadata})
