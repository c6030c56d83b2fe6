"""Entries as a real ChatOpenAI hands them to a cache: prompt, `llm_string` and about 2 kB of answer, all different.

Entry `i` is the same in every run on one Python version. `check_realism` compares it with what LangChain passes.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, Generation

from . import BenchError
from .corpus import Topic, topics
from .model import chat_model
from .replies import generation, message_id, reply, seeded

SYSTEM = (
    "You are a senior Python engineer. Answer for a colleague who knows the language well but not this module. "
    "Be concrete, show the code that matters and name the traps."
)
QUESTIONS = (
    "What does `{a.name}` do, and when would I reach for `{b.name}` instead?\n\nIts docstring says:\n\n{a.prose}",
    "Review `{a.name}`, then compare it with `{b.name}`:\n\n```python\n{a.code:.700}\n```",
    "I use `{a.name}` together with `{b.name}` in a data pipeline. What can go wrong there?",
    "Explain `{a.name}` to a newcomer in three short paragraphs and relate it to `{b.name}`.\n\n{a.prose}",
    "Write a unit test for `{a.name}` that also catches a regression in `{b.name}`.\n\n```python\n{a.code:.500}\n```",
)
ANSWER_CHARACTERS = 2_000


@dataclass(frozen=True)
class Entry:
    """One paid call: the arguments of `BaseCache.update`, with the messages they came from."""

    messages: list[BaseMessage]
    prompt: str
    llm_string: str
    generations: list[Generation]

    @property
    def answer(self) -> str:
        return self.generations[0].text

    def is_answered_by(self, found: Sequence[Generation] | None) -> bool:
        """Whether a cache gave back everything that was stored. A hit may carry a message id of its own."""
        if not found or len(found) != 1:
            return False
        (mine,), (theirs,) = self.generations, found
        if not isinstance(mine, ChatGeneration) or not isinstance(theirs, ChatGeneration):
            return False
        return mine == theirs.model_copy(update={"message": theirs.message.model_copy(update={"id": mine.message.id})})


@cache
def llm_string_of(base_url: str | None = None) -> str:
    """What LangChain tells a cache of the bench's model. There is no public way to ask for it."""
    return chat_model(base_url)._get_llm_string(stop=None)


def entries(indices: Iterable[int], base_url: str | None = None) -> Iterator[Entry]:
    """The entries at these positions, built anew: no prompt among them carries a hash computed earlier."""
    llm_string = llm_string_of(base_url)
    for i in indices:
        text, messages = answer(i), question(i)
        yield Entry(
            messages, _as_langchain_writes(messages), llm_string, [generation(text, reply(i, text), message_id(i))]
        )


def question(i: int) -> list[BaseMessage]:
    """A system and a human message; no two positions below five million ask the same."""
    a, b = _pair(i)
    return [SystemMessage(SYSTEM), HumanMessage(QUESTIONS[i % len(QUESTIONS)].format(a=a, b=b))]


def answer(i: int) -> str:
    """About 2,000 characters: explanation, code, explanation, from subjects picked at random."""
    a, b = _pair(i)
    parts = [f"`{a.name}` and `{b.name}` solve different halves of the problem.", a.prose]
    length = sum(map(len, parts))
    for number, topic in enumerate(seeded(i).choices(topics(), k=12)):
        part = f"```python\n{topic.code[:600]}\n```" if number % 2 == 0 else f"**{topic.name}**: {topic.prose}"
        parts.append(part)
        length += len(part) + 2
        if length >= ANSWER_CHARACTERS:
            break
    return "\n\n".join(parts)[: ANSWER_CHARACTERS + 200].rstrip()


def check_realism(base_url: str, i: int) -> None:
    """Raise BenchError unless LangChain passes to a cache exactly what `entries` makes of position `i`.

    At `base_url` a server knows the answer of position `i`.
    """
    seen, before = _Recorder(), get_llm_cache()
    set_llm_cache(seen)
    try:
        chat_model(base_url).invoke(question(i))
    finally:
        set_llm_cache(before)
    (entry,) = entries([i], base_url)
    (real,) = seen.generations
    if not isinstance(real, ChatGeneration):
        raise BenchError(f"LangChain gave a cache {type(real).__name__} for a chat")
    made = generation(entry.answer, reply(i, entry.answer), str(real.message.id))
    if (seen.prompt, seen.llm_string, real) != (entry.prompt, entry.llm_string, made):
        raise BenchError(f"the workload is not what langchain-openai makes of a reply:\n{real!r}\n{made!r}")


class _Recorder(BaseCache):
    """A cache that keeps what LangChain gives it."""

    prompt = llm_string = ""
    generations: Sequence[Generation] = ()

    def lookup(self, prompt: str, llm_string: str) -> None: ...

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        self.prompt, self.llm_string, self.generations = prompt, llm_string, return_val

    def clear(self, **_: Any) -> None: ...


def _as_langchain_writes(messages: list[BaseMessage]) -> str:
    """The prompt string of such messages, in a fifth of the time of LangChain's own `dumps`."""
    written = [
        {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain", "schema", "messages", type(message).__name__],
            "kwargs": {"content": message.content, "type": message.type},
        }
        for message in messages
    ]
    return json.dumps(written)


def _pair(i: int) -> tuple[Topic, Topic]:
    known = topics()
    first = i % len(known)
    return known[first], known[(first + 1 + i // len(known)) % len(known)]
