"""What the demo server says, by rules that anybody can read; every answer begins with the same mark."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo_vectors import words

MARK = "[demo answer]"
ANSWERS = {
    "what is a monad?": "A way to chain steps that each return a value in a wrapper: a list, an optional, a promise.",
    "explain it to a cook.": "Each station passes a covered tray: it lifts the cover, does its work, and covers again.",
    "and in one line of python?": "bind = lambda xs, f: [y for x in xs for y in f(x)]",
    "what is a closure?": "A function that remembers the variables of the place where it was defined.",
    "what is a decorator?": "A function that takes a function and returns another to be used in its place.",
    "what is a generator?": "A function that hands out its values one at a time, pausing in between.",
    "what is a cache?": "A place for answers to questions already asked, so that asking again costs nothing.",
    "what is nbcache?": "It keeps the answers of a notebook's LLM calls on disk: run it twice, pay once.",
    "what is langchain?": "A Python framework that gives the models of many providers one interface.",
    "what is the capital of france?": "Paris.",
    "why is the sky blue?": "Air scatters short wavelengths more than long ones, so blue comes from everywhere.",
    "who are you?": "A small server that comes with nbcache's examples. I know a dozen answers by heart.",
}
FALLBACK = "I am not a model and know only a dozen answers. Set OPENAI_API_KEY to ask a real one."
CHARACTERS_A_TOKEN = 4  # a guess that is good enough for a demo
NAMES = ("Fresnel", "Pharos", "Skerry", "Tallow", "Halyard", "Beacon")

Message = Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What is said, and the tool that is called, if one is: its name and arguments."""

    text: str
    call: tuple[str, dict[str, str]] | None = None


class Repertoire:
    """Everything that one server can say.

    Who is offered a tool calls it with the user's question; who has a tool's result answers with the sentence of it
    that shares most words with the question. Else it is a dozen answers by heart, and names, each time another.
    """

    def __init__(self) -> None:
        self._turns: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
        self._beginnings: set[str] = set()

    def reply(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> Reply:
        """The answer to this conversation; `tools` are what it may call."""
        results = [*itertools.takewhile(lambda message: message.get("role") == "tool", reversed(messages))]
        before = messages[: len(messages) - len(results)]
        question = next((text_of(one) for one in reversed(before) if not results or one.get("role") == "user"), "")
        if results:
            return Reply(f"{MARK} I looked it up: {_nearest(question, map(text_of, reversed(results)))}")
        call = _call(question, tools) if messages[-1].get("role") == "user" else None
        return Reply(f"{MARK} I look it up.", call) if call else Reply(f"{MARK} {self._by_heart(question)}")

    def cached_tokens(self, messages: Sequence[Message]) -> int:
        """How many tokens of these messages have been sent before, as the beginning of others: 1,024 or more, in steps of 128."""
        text = "\n".join(map(text_of, messages))
        lengths = range(1024, len(text) // CHARACTERS_A_TOKEN + 1, 128)
        beginnings = {length: text[: length * CHARACTERS_A_TOKEN] for length in lengths}
        cached = max((length for length, beginning in beginnings.items() if beginning in self._beginnings), default=0)
        self._beginnings.update(beginnings.values())
        return cached

    def _by_heart(self, question: str) -> str:
        question = " ".join(question.lower().split())
        if question.startswith("suggest a name"):
            return NAMES[next(self._turns[question]) % len(NAMES)]
        return ANSWERS.get(question, FALLBACK)


def text_of(message: Message) -> str:
    """The text of a message, whose content may come in parts, or not at all."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"text": content or ""}]
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _call(question: str, tools: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, str]] | None:
    """A call of the first tool that takes nothing but one text."""
    for tool in tools:
        function = tool.get("function") or {}
        takes = (function.get("parameters") or {}).get("properties") or {}
        if [told.get("type") for told in takes.values()] == ["string"]:
            return str(function.get("name")), dict.fromkeys(takes, question)
    return None


def _nearest(question: str, texts: Iterator[str]) -> str:
    """The sentence that shares most words with the question; of several, the first."""
    asked = {*words(question)}
    sentences = [sentence for text in texts for sentence in re.split(r"(?<=[.!?])\s+", text.strip())]
    return max(sentences, key=lambda sentence: len(asked & {*words(sentence)}))
