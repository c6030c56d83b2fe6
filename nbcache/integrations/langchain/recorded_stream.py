"""One stream of a model's chunks: played from an entry, or recorded and stored."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation

from nbcache import codec
from nbcache.cache.call import Call
from nbcache.cache.memory import CachedAnswer
from nbcache.cache.modes import READ_ONLY, Settings
from nbcache.cache.notebook_cache import NotebookCache, cache_of
from nbcache.codec.chunks import as_chunk, joinable
from nbcache.codec.messages import restored
from nbcache.codec.new_chunks import Chunk, NewChunks
from nbcache.concurrency.executor import in_thread
from nbcache.errors import DamagedError, NotStorableError, logger, warn_once
from nbcache.keys.langchain_prompt import written_prompt
from nbcache.keys.model_fields.call_counters import whole_numbers


class Recording:
    """The chunks of `call`. A call of `invoke` is looked up and stored by LangChain, a call of `stream` here."""

    def __init__(self, call: Call, cache: NotebookCache | None, prompt: Any, args: Mapping[str, Any]) -> None:
        self.call = call
        self._cache = cache
        self._prompt, self._llm_string = _told(call, prompt, args) if call.is_stream else ("", "")
        self._raw: list[Chunk] = []
        self._refused: Exception | None = None
        self._numbers: dict[str, int] = {}
        self._new = NewChunks()
        call.chunks = self._new.packed

    @classmethod
    def of(cls, call: Call | None, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> "Recording | None":
        """The recording of the stream that begins here. None if it isn't recorded."""
        if call is None or call.chunks is not None or call.model is not model:
            return None  # no call is known, or a base class's `_stream` is called by that of its subclass
        cache = cache_of(model)
        if call.is_stream:
            if cache is None:
                return None
            if has_choices(model, kwargs):
                call.chunks = []  # so that the `_stream` of a base class, called next, doesn't count it again
                cache.count_uncached(call, "not cacheable")
                return None
        elif call.streams is None or not call.streams():
            return None  # the model's own `_generate` streams for itself
        prompt = args[0] if args else kwargs.get("messages", kwargs.get("prompt"))
        options = {name: value for name, value in kwargs.items() if name not in {"messages", "prompt", "run_manager"}}
        if len(args) > 1:
            options["stop"] = args[1]
        try:
            return cls(call, cache, prompt, options)
        except Exception as error:  # noqa: BLE001 - whatever fails, the stream goes on
            if cache is not None:
                cache.forbid_in_replay(call, f"can't be looked up: {error!r}")
                cache.failed("work out what a stream asks for", error)
            return None

    def find(self) -> CachedAnswer | None:
        """The answer whose chunks are to be played, if there is one."""
        if self._cache is None or not self.call.is_stream:
            return self.call.replay
        return self._cache.find(self._prompt, self._llm_string, self.call)

    async def afind(self) -> CachedAnswer | None:
        """As `find`."""
        if self._cache is None or not self.call.is_stream:
            return self.call.replay
        return await self._cache.afind(self._prompt, self._llm_string, self.call)

    def played(self, answer: CachedAnswer) -> Iterator[Chunk]:
        """The chunks as they were recorded. A single one if the answer didn't come in chunks."""
        key, first = codec.key_of(answer.payload), None
        chunks: Iterator[Chunk] = iter(())
        with whole_if_unreadable(key):
            chunks = codec.read(answer.payload, key).chunks(self.call.classes())
            first = next(chunks, None)
        first = first or as_chunk(answer.generations()[0])
        if isinstance(first, ChatGenerationChunk):
            first.message.__dict__["id"] = None  # LangChain gives all chunks of a stream the id of its run
        yield first
        if isinstance(first, ChatGenerationChunk) and self._cache is not None:
            self._cache.origins.note_hit(first.message, answer)
        yield from chunks

    def add(self, chunk: Chunk) -> bool:
        """Keep a copy of a chunk, since its reader may change it. Returns whether it is the one before with another text."""
        self._raw.append(chunk)
        is_repeated = False
        if self._refused is None:
            try:
                is_repeated = self._new.add(chunk)
            except Exception as error:  # noqa: BLE001 - whatever is in it, its reader gets it
                self._refused = error
        if self.call.numbers:
            self._numbers = whole_numbers(self.call.langchain_model())
        self._handed_out = time.perf_counter()
        return is_repeated

    def go_on(self) -> None:
        """The reader wants the next chunk.

        Time between two chunks is the reader's, not the model's. A field that the reader changed meanwhile is not a call
        counter.
        """
        self.call.idle += time.perf_counter() - self._handed_out
        if self.call.numbers:
            now = whole_numbers(self.call.langchain_model())
            self.call.numbers |= {name: -1 for name, value in now.items() if value != self._numbers.get(name)}

    def save(self) -> None:
        """All chunks have come: store the answer that they make up, unless LangChain stores it."""
        self.call.whole = bool(self._raw) and self._refused is None
        if self._cache is None or not self.call.is_stream or not self._raw or cache_of(self.call.model) is None:
            return
        try:
            answer = self._answer()
        except Exception as error:  # noqa: BLE001 - the reader has all chunks, and is not to be disturbed
            self._cache.failed("put the chunks of a stream together", error)
            return
        if self._refused is not None:  # there is no copy: the reader has the chunks, and may have changed them
            warn_once(f"not storable {self._refused}", f"nbcache: a stream is not cached: {self._refused} in it")
            self.call.settings = Settings(READ_ONLY).within(self.call.settings or Settings())
        self._cache.save(self._prompt, self._llm_string, answer, self.call)

    async def asave(self) -> None:
        """As `save`, in a thread: a write never runs on an event loop."""
        await in_thread(self.save, writes=True)

    def _answer(self) -> list[Generation]:
        """What `invoke` would have answered."""
        chunks = self._raw
        if self.call.whole and self.call.chunks is not None:
            chunks = restored(joinable(self.call.chunks), self.call.classes())
        whole = _joined(chunks) if self.call.is_chat else _joined_text(chunks)
        if isinstance(whole, ChatGeneration):
            first = self._raw[0]
            whole.message.id = first.message.id if isinstance(first, ChatGenerationChunk) else None
            if self.call.langchain_model().__dict__.get("output_version") == "v1":
                whole.message = _as_blocks(whole.message)
        return [whole]


@contextmanager
def whole_if_unreadable(key: str) -> Iterator[None]:
    """Within this block chunks of the entry `key` may turn out to be of a newer release: then its answer is played in one piece."""
    try:
        yield
    except (DamagedError, NotStorableError) as error:
        logger.debug("nbcache: the chunks of entry %s can't be played: %s", key, error)


def has_choices(model: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether the call asks for several answers: in a stream their chunks are mixed."""
    number = kwargs.get("n") or model.__dict__.get("n")
    return isinstance(number, int) and number > 1


def _told(call: Call, prompt: Any, args: Mapping[str, Any]) -> tuple[str, str]:
    """The prompt and the `llm_string` that LangChain would look up for an `invoke`."""
    model: Any = call.model
    if not call.is_chat:
        params = model._dict_for_compat() if hasattr(model, "_dict_for_compat") else model.dict()  # noqa: SLF001
        return prompt, str(sorted({**params, "stop": args.get("stop")}.items()))
    call.messages = prompt
    messages = [m.model_copy(update={"id": None}) if getattr(m, "id", None) is not None else m for m in prompt]
    return written_prompt(messages, dumps), model._get_llm_string(**args)  # noqa: SLF001 - as LangChain does


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
