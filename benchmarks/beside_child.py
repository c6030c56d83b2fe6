"""One version of nbcache, measured in a process of its own: it knows only what every version has."""

import asyncio
import gc
import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI

import nbcache

_PROMPTS = [f"{number}: " + "what is a monad? " * 20 for number in range(300)]
_CHAT = [HumanMessage("hi"), AIMessage("there, how are you")] * 100


def _answer() -> ChatResult:
    """An answer that costs nothing, so that what is measured is the way to it."""
    usage = {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150}
    metadata = {"finish_reason": "stop", "model_name": "gpt-4o"}
    message = AIMessage("answer " * 50, response_metadata=metadata, usage_metadata=usage)
    return ChatResult(generations=[ChatGeneration(message=message)])


class _Own(BaseChatModel):
    model: str = "own"

    @property
    def _llm_type(self) -> str:
        return "own"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return _answer()


def main() -> None:
    """Measure one part, and print its rows as JSON."""
    kind, part, folder = sys.argv[1:]
    warnings.simplefilter("ignore")
    ChatOpenAI._generate = _Own._generate  # type: ignore[method-assign, assignment]
    model = ChatOpenAI(model="gpt-4o", temperature=0.5) if kind == "client" else _Own()
    parts: dict[str, Callable[[], dict[str, float]]] = {
        "load": _loaded,
        "store": lambda: _stored(model, folder),
        "find": lambda: _found(model, folder),
    }
    print(json.dumps(parts[part]()))


def _loaded() -> dict[str, float]:
    """What `%load_ext` takes where LangChain is imported already."""
    shell: Any = InteractiveShell.instance()
    began = time.process_time()
    shell.run_line_magic("load_ext", "nbcache")
    return {"`%load_ext nbcache`": (time.process_time() - began) * 1e6}


def _stored(model: BaseChatModel, folder: str) -> dict[str, float]:
    uncached = model.model_copy(update={"cache": False})
    for prompt in _PROMPTS:
        uncached.invoke(prompt)
    bare = _best(uncached.invoke)
    nbcache.install(folder)
    model.invoke("the first call of a session does more")
    rows = {"a miss, besides the call": _quartile(model.invoke, _PROMPTS) - bare}
    cache, answer = get_llm_cache(), _answer().generations
    assert cache is not None
    rows["an update by hand"] = _best(lambda prompt: cache.update(prompt, "{'model': 'm'}", answer))
    model.invoke([*_CHAT, HumanMessage("?")])
    rows["a call with `cache=False`, besides the call"] = _best(uncached.invoke) - bare
    return rows


def _found(model: BaseChatModel, folder: str) -> dict[str, float]:
    nbcache.install(folder)
    model.invoke("the first call of a session does more")
    rows = {"a first hit": _quartile(model.invoke, _PROMPTS), "a repeated hit": _best(model.invoke)}
    model.invoke("something else is stored")
    rows["a first hit after something was stored"] = _quartile(model.invoke, _PROMPTS)
    rows["a streamed hit"] = _best(lambda prompt: list(model.stream(prompt)))
    rows["an awaited hit"] = asyncio.run(_awaited(model))
    rows["a hit at turn 200 of a chat"] = _best(lambda _: model.invoke([*_CHAT, HumanMessage("?")]), _PROMPTS[:20])
    return rows


async def _awaited(model: BaseChatModel) -> float:
    best = float("inf")
    for _ in range(4):
        seconds = []
        for prompt in _PROMPTS:
            began = time.thread_time()
            await model.ainvoke(prompt)
            seconds.append(time.thread_time() - began)
        best = min(best, _lower_quartile(seconds))
    return best


def _best(call: Callable[[str], object], prompts: list[str] = _PROMPTS) -> float:
    return min(_quartile(call, prompts) for _ in range(4))


def _quartile(call: Callable[[str], object], prompts: list[str]) -> float:
    """Microseconds of processor time: what a quarter of the calls don't exceed."""
    gc.collect()
    seconds = []
    for prompt in prompts:
        began = time.thread_time()
        call(prompt)
        seconds.append(time.thread_time() - began)
    return _lower_quartile(seconds)


def _lower_quartile(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) // 4] * 1e6


if __name__ == "__main__":
    main()
