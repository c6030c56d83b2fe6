"""Which call an input would make, where that can be told before anything runs."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from nbcache.cache.call import Call
from nbcache.integrations.embeddings.wrapper import CachedEmbeddings
from nbcache.integrations.embeddings.wrapper import planned_call as call_of_embeddings
from nbcache.integrations.functions.call_course import planned_call as call_of_function
from nbcache.integrations.functions.decorator import memoized_in
from nbcache.integrations.functions.memoized import Memoized
from nbcache.integrations.langchain.planned_calls import PlannedModel
from nbcache.session.warming.targets import args

_EMBED_QUERY = {"embed_query": False, "aembed_query": True}  # and whether it is awaited


class InputCalls(NamedTuple):
    """`call_of` returns the prompt, LangChain's `llm_string` and the call of an input, or raises why there is none.

    `function` is the memoized function that is called, if it is one.
    """

    call_of: Callable[[args], tuple[str, str, Call]]
    function: Memoized | None = None


def input_calls(runnable: Any, *, is_async: bool) -> InputCalls:
    """The calls of a model, a memoized function or wrapped embeddings. Raises ValueError for anything else."""
    if (memoized := memoized_in(runnable)) is not None:
        function, first = memoized
        return InputCalls(partial(_of_function, function, first), function)
    if isinstance(runnable, CachedEmbeddings):
        return InputCalls(partial(_of_text, runnable, "documents", is_async))
    embeddings, method = getattr(runnable, "__self__", None), getattr(runnable, "__name__", None)
    if isinstance(embeddings, CachedEmbeddings) and method in _EMBED_QUERY:
        return InputCalls(partial(_of_text, embeddings, "query", _EMBED_QUERY[method]))
    model = PlannedModel.of(runnable, is_async=is_async)
    if model is None:
        name = getattr(runnable, "__qualname__", None) or type(runnable).__qualname__
        raise ValueError(
            f"nbcache.warm: dry_run can't tell what {name} would call. It knows a model, a function with @nbcache.memoize and "
            "wrapped embeddings: ask it of those that are used inside"
        )
    return InputCalls(lambda given: model.call(*given.args, **given.kwargs))


def _of_function(function: Memoized, first: tuple[Any, ...], given: args) -> tuple[str, str, Call]:
    prompt, call = call_of_function(function, (*first, *given.args), given.kwargs)
    return prompt, "", call


def _of_text(embeddings: CachedEmbeddings, what: str, is_async: bool, given: args) -> tuple[str, str, Call]:  # noqa: FBT001 - for `partial`
    [text] = given.args
    if not isinstance(text, str):
        raise TypeError(f"an input is a text, not a {type(text).__qualname__}")
    return text, "", call_of_embeddings(embeddings, what, is_async=is_async)
