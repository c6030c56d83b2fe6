"""Hits that are answered before LangChain writes the prompt and the model as text, or before it sets up a run.

LangChain asks a cache last, when most of a call's work is done. A call whose key can be told without that is answered here,
with the same message. What is not answered here takes LangChain's way, as if nothing had been tried: nothing was counted. Only
the texts are those of what is known already (`Absent`).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial, wraps
from operator import attrgetter, is_
from types import FunctionType
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables.config import var_child_runnable_config

from nbcache.cache.absent import Absent
from nbcache.cache.chains import listens
from nbcache.cache.lookup import IsHeard
from nbcache.cache.notebook_cache import NotebookCache, cache_of
from nbcache.codec.messages import made
from nbcache.concurrency.loop_turns import take_turn
from nbcache.errors import logger
from nbcache.integrations.langchain.chunk_listeners import hears_chunks_or_events
from nbcache.integrations.patching import Wrapping
from nbcache.keys.known_keys import KnownCall
from nbcache.keys.langchain_prompt import written_prompt
from nbcache.keys.request import Request, options_of
from nbcache.keys.usercode.origin import ORIGINAL

# A class that has its own of these may do more than LangChain does between a call and the lookup.
_LOOKUP = ("_get_llm_string", "_convert_cached_generations")
_RUN = ("invoke", "_convert_input", "generate_prompt", "generate", "_generate_with_cache")
_ASYNC_RUN = ("ainvoke", "_convert_input", "agenerate_prompt", "agenerate", "_agenerate_with_cache")
STREAM, ASYNC_STREAM = ("stream", "_convert_input"), ("astream", "_convert_input")
_METHODS: dict[tuple[str, ...], Callable[[type], tuple[Any, ...]]] = {
    names: attrgetter(*names) for names in (_LOOKUP, _RUN, _ASYNC_RUN, STREAM, ASYNC_STREAM)
}
_HEARD: Any = object()  # takes the place of the callbacks of a call to which somebody listens
_LONG_WAY = nullcontext()
Known = tuple[NotebookCache, KnownCall, IsHeard]  # the cache of a call, the call, and whether somebody listens to it
_Answer = list[ChatGeneration] | AbstractContextManager[None]  # or the block in which LangChain's way is taken
_OF_RESULT = {"generations", "llm_output"}
_FAILED = "nbcache: a call could not be answered early: %r"


class EarlyHits:
    """Answers calls of chat models early, while `wrapping` is active.

    `before_lookup` wraps what LangChain calls for each prompt, when it has announced the run to whoever listens.
    `before_run` wraps `invoke`, for calls to which nobody listens.
    """

    def __init__(self, wrapping: Wrapping) -> None:
        self._wrapping = wrapping
        self._own: dict[tuple[str, ...], tuple[Any, ...]] = {}

    def note_methods(self) -> None:
        """Remember LangChain's own methods, when all of ours are in place."""
        for names in _METHODS:
            methods = tuple(BaseChatModel.__dict__.get(name) for name in names)
            if all(map(_is_langchains, methods)):
                self._own[names] = methods

    def before_lookup(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `_generate_with_cache(messages, stop, run_manager, **options)`."""

        @wraps(original)
        def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            answer = _answer(self._at_lookup(model, args, kwargs), on_loop=False)
            if isinstance(answer, list):
                return _result(answer)
            with answer:
                return original(model, *args, **kwargs)

        return wrapper

    def before_lookup_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """As `before_lookup`, awaited."""

        @wraps(original)
        async def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            answer = await _aanswer(self._at_lookup(model, args, kwargs, is_async=True))
            if isinstance(answer, list):
                return _result(answer)
            with answer:
                return await original(model, *args, **kwargs)

        return wrapper

    def before_run(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `invoke(input, config, *, stop, **options)`."""

        @wraps(original)
        def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            answer = _answer(self.unheard(model, args, kwargs, _RUN), on_loop=False)
            if isinstance(answer, list):
                return answer[0].message
            with answer:
                return original(model, *args, **kwargs)

        return wrapper

    def before_run_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """As `before_run`, awaited."""

        @wraps(original)
        async def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            await take_turn()  # before its key is worked out: a thousand keys at once would hold up the loop
            answer = _answer(self.unheard(model, args, kwargs, _ASYNC_RUN, is_async=True), on_loop=True)
            if isinstance(answer, list):
                return answer[0].message
            with answer:
                return await original(model, *args, **kwargs)

        return wrapper

    def _at_lookup(
        self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_async: bool = False
    ) -> Known | None:
        """A call that LangChain is about to look up. None if it has to."""
        try:
            run = args[2] if len(args) > 2 else kwargs.get("run_manager")
            if model.cache is False or Absent.current.get() is not None:
                return None  # it is not looked up; it was no hit before its run, or is made within such a call
            if not self._has_own(type(model), _LOOKUP):
                return None
            messages = args[0] if args else kwargs.get("messages")
            stop = args[1] if len(args) > 1 else kwargs.get("stop")
            known = self._known(model, messages, stop, kwargs, is_async=is_async)
            if known is None or run is None:  # to ask who listens takes longer than to tell that no key is known
                return known
            return None if _plays_chunks(model, run, kwargs, is_async) else known
        except Exception as error:  # noqa: BLE001 - the long way says what is wrong
            logger.debug(_FAILED, error)
            return None

    def unheard(
        self,
        model: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        names: tuple[str, ...],
        *,
        is_async: bool = False,
    ) -> Known | None:
        """A call of a class that has LangChain's own methods of these `names`. None if its config says that somebody listens."""
        try:
            if len(args) > 2 or not args or model.cache is False or not self._wrapping.active:
                return None
            callbacks = _callbacks_of(model, args[1] if len(args) > 1 else kwargs.get("config"))
            if callbacks is _HEARD or not self._has_own(type(model), names):
                return None
            messages = _texts(model, args[0])
            if messages is None:
                return None
            known = self._known(model, messages, kwargs.get("stop"), kwargs, is_async=is_async)
            if known is None:
                return None
            cache, call, _ = known
            return cache, call, partial(_is_heard, model, callbacks, is_async=is_async)
        except Exception as error:  # noqa: BLE001 - as above
            logger.debug(_FAILED, error)
            return None

    def _has_own(self, cls: type, names: tuple[str, ...]) -> bool:
        """Whether these methods of a class are LangChain's."""
        own = self._own.get(names)
        return own is not None and all(map(is_, _METHODS[names](cls), own))

    def _known(
        self, model: Any, messages: Any, stop: Any, kwargs: Mapping[str, Any], *, is_async: bool
    ) -> Known | None:
        cache = cache_of(model) if self._wrapping.active else None
        if cache is None:
            return None
        known = cache.known_call(Request(model, stop, options_of(kwargs), messages=messages, is_async=is_async))
        return None if known is None else (cache, known, _is_not_heard)


def _is_langchains(method: Any) -> bool:
    """Whether a method of BaseChatModel is LangChain's, or ours around it. Who else has wrapped it wants to see each call."""
    while hasattr(method, ORIGINAL):
        method = getattr(method, ORIGINAL)
    if not isinstance(method, FunctionType) or hasattr(method, "__wrapped__"):
        return False
    return method.__code__.co_filename == sys.modules[BaseChatModel.__module__].__file__


def _answer(known: Known | None, *, on_loop: bool) -> _Answer:
    """The answer to a known call, as LangChain hands out a hit."""
    if known is None:
        return _LONG_WAY
    cache, call, is_heard = known
    try:
        answer = cache.find_known(call, is_heard, on_loop=on_loop)
    except Exception as error:  # noqa: BLE001 - as above
        logger.debug(_FAILED, error)
        return _LONG_WAY
    return [_as_hit(each) for each in answer] if isinstance(answer, list) else answer or _LONG_WAY


async def _aanswer(known: Known | None) -> _Answer:
    """As `_answer`, in turn with other calls on the event loop."""
    if known is None:
        return _LONG_WAY
    await take_turn()
    return _answer(known, on_loop=True)


def _is_heard(model: BaseChatModel, callbacks: Any, *, is_async: bool) -> bool:
    """Whether somebody listens to a call: a handler of its model, or one that LangChain adds to each call, such as a tracer."""
    managers = AsyncCallbackManager if is_async else CallbackManager
    handlers = managers.configure(callbacks, model.callbacks, model.verbose).handlers
    return bool(handlers) and any(map(listens, handlers))


def _is_not_heard() -> bool:
    """For a call whose listeners have heard of it."""
    return False


def _as_hit(generation: Generation) -> ChatGeneration:
    """What LangChain's `_convert_cached_generations` makes of a generation, which is a new object already."""
    if not isinstance(generation, ChatGeneration):
        return ChatGeneration(message=AIMessage(content=generation.text), generation_info=generation.generation_info)
    message = generation.message
    if isinstance(message, AIMessage):
        values = message.__dict__
        values["usage_metadata"] = {**(values["usage_metadata"] or {}), "total_cost": 0}
    return generation


def _result(generations: list[ChatGeneration]) -> ChatResult:
    return made(ChatResult, {"generations": generations, "llm_output": None}, _OF_RESULT.copy())


def _plays_chunks(model: BaseChatModel, run: Any, kwargs: Mapping[str, Any], is_async: bool) -> bool:  # noqa: FBT001 - as LangChain's
    """Whether somebody listens to the chunks or the events of a call, or its config asks for a mode."""
    if "nbcache" in run.metadata:
        return True
    return bool(run.handlers) and hears_chunks_or_events(model, run, kwargs, is_async)


def _texts(model: BaseChatModel, given: Any) -> Sequence[BaseMessage] | None:
    """The messages of a call, if they are texts: LangChain rewrites others before it looks up."""
    if type(given) is str:
        return [HumanMessage(content=given)]
    if isinstance(given, PromptValue):
        messages: Sequence[BaseMessage] = given.to_messages()
    elif type(given) is list and all(isinstance(each, BaseMessage) for each in given):
        messages = given
    else:
        messages = model._convert_input(given).to_messages()  # noqa: SLF001 - as LangChain does next
    return messages if all(type(each.content) is str for each in messages) else None


def _callbacks_of(model: BaseChatModel, config: Any) -> Any:
    """The callbacks of a call: those of its config, or of the run around it. `_HEARD` if they have handlers, or it has a mode."""
    around: Any = var_child_runnable_config.get()
    callbacks = config.get("callbacks") if config else None
    if callbacks is None and around:
        callbacks = around.get("callbacks")
    if callbacks is not None and (callbacks if isinstance(callbacks, list) else getattr(callbacks, "handlers", True)):
        return _HEARD
    for each in (config, around):
        if each and ("nbcache" in (each.get("metadata") or ()) or "nbcache" in (each.get("configurable") or ())):
            return _HEARD
    return _HEARD if model.metadata and "nbcache" in model.metadata else callbacks


def written_prompts(original: Callable[..., str]) -> Callable[..., str]:
    """For `dumps(messages)` of LangChain's chat models: for a call that was no early hit, the same text in less time."""

    @wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> str:
        if kwargs or len(args) != 1 or type(args[0]) is not list or Absent.current.get() is None:
            return original(*args, **kwargs)
        try:
            return written_prompt(args[0], original)
        except Exception as error:  # noqa: BLE001 - LangChain says what is wrong
            logger.debug("nbcache: a prompt could not be written in short: %r", error)
            return original(*args)

    return wrapper


def remembered_models(original: Callable[..., str]) -> Callable[..., str]:
    """For `_get_llm_string(stop, **options)`, likewise: the text is that of an earlier call."""

    @wraps(original)
    def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> str:
        absent = Absent.current.get()
        if absent is None or args or not _is_of(absent.known.request, model, kwargs):
            return original(model, *args, **kwargs)
        return absent.known.llm_string.text

    return wrapper


def _is_of(request: Request, model: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether these are the model and the arguments of `request`."""
    options, given = request.options, kwargs.keys() - {"stop"}
    return (
        request.model is model
        and kwargs.get("stop") is request.stop
        and given == options.keys()
        and all(kwargs[name] is value for name, value in options.items())
    )
