"""Embeddings that pay for each text once: a list is looked up text by text, and only missing texts are sent."""

import copy
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from langchain_core.embeddings import Embeddings

from nbcache.cache.call import Call, call_around, running
from nbcache.cache.memory import CachedAnswer
from nbcache.cache.modes import OFF
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.concurrency.executor import in_thread
from nbcache.entry.filter import EMBEDDING
from nbcache.errors import UnstableIdentityError, warn_once
from nbcache.integrations.embeddings.vectors import as_generation, vector_in
from nbcache.keys.embedder_identity import embedder_identity

_OWN = ("_wrapped", "_cache_now")
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, ImportError)


def wrap_embeddings(model: Embeddings, cache_now: Callable[[], NotebookCache | None]) -> Embeddings:
    """`model` with a cache: it only embeds texts that are not in it. `cache_now` returns the cache at each call."""
    return model if isinstance(model, CachedEmbeddings) else CachedEmbeddings(model, cache_now)


class CachedEmbeddings(Embeddings):
    """An embedding model whose vectors are cached. Its attributes are those of the wrapped model, to read and to set."""

    _wrapped: Embeddings
    _cache_now: Callable[[], NotebookCache | None]

    def __init__(self, wrapped: Embeddings, cache_now: Callable[[], NotebookCache | None]) -> None:
        vars(self).update(_wrapped=wrapped, _cache_now=cache_now)

    def __getattr__(self, name: str) -> Any:
        if name in _OWN or name.startswith("__"):  # while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self._wrapped, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._wrapped, name, value)

    def model_copy(self, **options: Any) -> "CachedEmbeddings":
        """A copy of the wrapped model, as pydantic makes one, with the same cache. Raises what the model raises."""
        return type(self)(getattr(self._wrapped, "model_copy")(**options), self._cache_now)  # noqa: B009 - not all have it

    def __repr__(self) -> str:
        return f"CachedEmbeddings({self._wrapped!r})"

    def embed_documents(self, texts: list[str], *args: Any, **options: Any) -> list[list[float]]:
        """The vectors of `texts`, in their order. Raises what the model raises."""
        texts = _listed(texts)
        batch = self._begin("documents", texts, args, options)
        if batch is None:
            return self._wrapped.embed_documents(texts, *args, **options)
        with running(batch.call):
            batch.look_up()
            if not batch.missing:
                return batch.vectors()
            return batch.complete(self._wrapped.embed_documents([*batch.missing], *args, **options))

    async def aembed_documents(self, texts: list[str], *args: Any, **options: Any) -> list[list[float]]:
        """As `embed_documents`."""
        texts = _listed(texts)
        batch = self._begin("documents", texts, args, options, is_async=True)
        if batch is None:
            return await self._wrapped.aembed_documents(texts, *args, **options)
        with running(batch.call):
            await batch.alook_up()
            if not batch.missing:
                return batch.vectors()
            made = await self._wrapped.aembed_documents([*batch.missing], *args, **options)
            return await in_thread(partial(batch.complete, made), writes=True)

    def embed_query(self, text: str, *args: Any, **options: Any) -> list[float]:
        """The vector of `text` as a query. Raises what the model raises."""
        batch = self._begin("query", [text], args, options)
        if batch is None:
            return self._wrapped.embed_query(text, *args, **options)
        with running(batch.call):
            batch.look_up()
            if batch.missing:
                batch.save([self._wrapped.embed_query(text, *args, **options)])
            return batch.vectors_by_text[text]

    async def aembed_query(self, text: str, *args: Any, **options: Any) -> list[float]:
        """As `embed_query`."""
        batch = self._begin("query", [text], args, options, is_async=True)
        if batch is None:
            return await self._wrapped.aembed_query(text, *args, **options)
        with running(batch.call):
            await batch.alook_up()
            if batch.missing:
                made = await self._wrapped.aembed_query(text, *args, **options)
                await in_thread(partial(batch.save, [made]), writes=True)
            return batch.vectors_by_text[text]

    def _begin(
        self, what: str, texts: Any, args: Sequence[Any], options: Mapping[str, Any], *, is_async: bool = False
    ) -> "_Batch | None":
        """The call that begins here. None if it is not cached."""
        cache = self._cache_now()
        if cache is None or not texts:
            return None
        model = self._wrapped
        try:
            _check_texts(texts, type(model))
            identity = embedder_identity(model, what, args, options, is_async=is_async)
        except UnstableIdentityError as error:
            cache.forbid_in_replay(_call_of(model), f"has no key: {error}")
            if cache.settings_now.mode != OFF:
                warn_once(error.cause, str(error))
            return None
        except Exception as error:  # noqa: BLE001 - the user's own class: the call goes on without the cache
            name = type(model).__qualname__
            cache.forbid_in_replay(_call_of(model), f"has no key: {error!r}")
            warn_once(f"embeddings {name}", f"nbcache could not find out what {name} is: {error!r}. It is not cached")
            return None
        is_one = len({*texts}) == 1  # a call of several texts would hold a lease while it waits for another text
        names = (type(model).__qualname__,)
        call = Call(identity=identity, is_chat=False, kind=EMBEDDING, outer=call_around(), labels=names, shares=is_one)
        return _Batch(cache, call, texts)


def planned_call(embeddings: CachedEmbeddings, what: str, *, is_async: bool) -> Call:
    """The call to embed one text as one of the `documents` or a `query`, as it would be looked up. Raises UnstableIdentityError."""
    model = embeddings._wrapped  # noqa: SLF001 - one of us
    identity = embedder_identity(model, what, (), {}, is_async=is_async)
    names = (type(model).__qualname__,)
    return Call(identity=identity, is_chat=False, kind=EMBEDDING, outer=call_around(), labels=names)


@dataclass(slots=True)
class _Batch:
    """The texts of one call: the vectors that were found, by text, and the missing texts, each once."""

    cache: NotebookCache
    call: Call
    texts: list[str]
    vectors_by_text: dict[str, list[float]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def look_up(self) -> None:
        """Look up each text."""
        for text in dict.fromkeys(self.texts):
            self._note(text, self.cache.find(text, "", self.call))

    async def alook_up(self) -> None:
        """As `look_up`. Many texts are looked up in a thread, since they would block the event loop."""
        if self.call.shares:
            self._note(self.texts[0], await self.cache.afind(self.texts[0], "", self.call))
        else:
            await in_thread(self.look_up)

    def _note(self, text: str, answer: CachedAnswer | None) -> None:
        if answer is not None:
            try:
                self.vectors_by_text[text] = vector_in(answer.generations()[0])
                return
            except _UNREADABLE as error:
                self.cache.forbid_in_replay(self.call, f"has a vector that can't be read: {error}")
                # a newer release may pack in another way
                warn_once("vector", f"nbcache: a stored vector can't be read, and is made anew: {error}")
        self.missing.append(text)

    def complete(self, made: list[list[float]]) -> list[list[float]]:
        """The vectors of all texts. Those in `made` are of the missing texts, and are stored.

        Raises ValueError if their number is wrong and other texts of the call were found in the cache.
        """
        is_all = self.missing == self.texts
        if isinstance(made, Sized) and len(made) == len(self.missing):
            self.save(made)
        elif not is_all:
            raise ValueError(f"{self.call.labels[0]} gave no list of {len(self.missing)} vectors for as many texts")
        return made if is_all else self.vectors()

    def save(self, made: Sequence[Any]) -> None:
        """Store the vectors of the missing texts."""
        for text, vector in zip(self.missing, made, strict=True):
            self.vectors_by_text[text] = vector
            self.cache.save(text, "", [as_generation(vector)], self.call)

    def vectors(self) -> list[list[float]]:
        """The vectors of all texts, each a list of its own."""
        used: set[str] = set()
        vectors = []
        for text in self.texts:
            vectors.append(copy.copy(self.vectors_by_text[text]) if text in used else self.vectors_by_text[text])
            used.add(text)
        return vectors


def _call_of(model: Embeddings) -> Call:
    """A call of `model`, before its identity is known."""
    return Call(is_chat=False, labels=(type(model).__qualname__,))


def _listed(texts: Any) -> Any:
    """`texts` as a list, since an iterator can only be read once. A text or a list is returned as it is."""
    return texts if isinstance(texts, str | list) else list(texts)


def _check_texts(texts: Sequence[Any], cls: type) -> None:
    other = next((text for text in texts if not isinstance(text, str)), None)
    if isinstance(texts, str) or other is not None:
        kind = type(texts if other is None else other).__qualname__
        raise UnstableIdentityError(
            f"embeddings of {kind}",
            f"nbcache: {cls.__qualname__} was given a {kind}, and only lists of texts are cached",
        )
