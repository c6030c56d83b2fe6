"""The calls of a kernel: prompts of 2 kB and 100 kB and chats, with messages that are new for each call."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from . import BenchError
from .model import Answers, OwnModel, chat_model

if TYPE_CHECKING:
    from .kernel import Job, Meter

SYSTEM = "You are a senior Python engineer. Answer for a colleague, show the code that matters and name the traps."
TURNS = (2, 20, 200)
BEFORE, MEASURED = 6, 5  # turns of a long chat that are asked before those that are measured, and these
SHORT, LONG = 1_900, 100_000  # characters
Asked = list[tuple[list[BaseMessage]]]


def write_cases(file: Path, amounts: Any) -> None:
    """Write down questions and answers: a kernel that made them would import more than a user's."""
    from .workload import answer, question

    def text(i: int, length: int) -> str:
        return f"{i}: {question(i)[-1].text}\n{answer(i)}"[:length]

    cases = {
        "questions": [text(i, SHORT) for i in range(amounts.stored)],
        "long": [(text(i, SHORT) * (LONG // SHORT + 1))[:LONG] for i in range(amounts.long)],
        "answers": [answer(i) for i in range(5_000, 5_060)],
    }
    file.write_text(json.dumps(cases), encoding="utf-8")


class Cases:
    """What the cells of a kernel ask, and the model that they ask. Hits are checked: that they are some, and right."""

    def __init__(self, job: "Job", meter: "Meter") -> None:
        cases = json.loads(Path(job.cases).read_text(encoding="utf-8"))
        self.job, self.meter, self.much = job, meter, job.amounts
        self._questions: list[str] = cases["questions"]
        self._long: list[str] = cases["long"]
        self.answers = Answers(cases["answers"])
        self.model: Any = OwnModel() if job.model == "own" else chat_model()
        self.answers.give_to(type(self.model))
        self.batches = range(self.much.batches)

    def questions(self, start: int, count: int, prefix: str = "") -> Asked:
        """Calls with 2 kB prompts. Another prefix makes them other calls."""
        return [(_messages(f"{prefix} {self._questions[i]}"),) for i in range(start, start + count)]

    def usual(self) -> Asked:
        """The calls that most parts make."""
        return self.questions(1, self.much.questions)

    def long(self) -> Asked:
        """Calls with prompts of 100 kB."""
        return [(_messages(f" {text}"),) for text in self._long]

    def turns(self, number: int, turns: int) -> Asked:
        """The calls of a chat's last turns: a list that grows, as a user's does, with the same objects in it."""
        chat: list[BaseMessage] = []
        for turn in range(1, turns + 1):
            question = f"chat {number}, turn {turn}: {self._questions[turn % len(self._questions)][:200]}"
            chat += [HumanMessage(question), self.answers.result(question).generations[0].message]
        first = max(1, turns - BEFORE - MEASURED + 1)
        return [(chat[: 2 * turn - 1],) for turn in range(first, turns + 1)]

    def texts(self) -> list[str]:
        """To be embedded."""
        return [f" {text}" for text in self._questions[: self.much.texts]]

    def warm(self, asked: Asked) -> None:
        """Make calls that are not measured."""
        for (messages,) in asked:
            self.model.invoke(messages)

    def hits(self, row: str, call: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], **options: Any) -> None:
        """Measure calls that have to be hits."""
        ready, before = list(arguments), self.answers.calls
        answers = self.meter.batch(row, call, ready, **options)
        if self.answers.calls != before:
            raise BenchError(f"{row}: {self.answers.calls - before} calls of {self.job.column} were no hits")
        for each, answer in zip(ready, answers, strict=True):
            if isinstance(answer, BaseMessage) and answer.content != self.answers.text(each[0][-1].content):
                raise BenchError(f"{row}: a wrong answer of {self.job.column}")


def _messages(text: str) -> list[BaseMessage]:
    return [SystemMessage(SYSTEM), HumanMessage(text)]
