"""The examples of a page: its blocks of code, and what stands below each as its output."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"python", "console", "text", "yaml", "json", "toml"}

_BLOCK = re.compile(
    r"(?:<!-- (?P<note>.+?) -->\n)?^```(?P<language>\S*)\n(?P<source>.*?)^```$", re.MULTILINE | re.DOTALL
)
# What differs from run to run: durations, sizes, keys, times of day, temporary folders, and how often a dash is drawn.
_VARYING = re.compile(
    r"<?\d[\d.,]* ?(?:ms|s|min|h|B|kB|MB)\b|\b[0-9a-f]{8,}(?:…|\b)|\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?(?: UTC)?|\S*/project\b"
)
_ANY = r"(?:.*\n)*"


@dataclass(frozen=True)
class Example:
    """A block of code with the output that the page shows for it, None where it shows none.

    `note` is a comment above the block, which no reader sees: `file: NAME` saves the block instead of running it,
    `raises: ERROR` expects it to fail, and `not run: WHY` leaves it out.
    """

    line: int
    language: str
    source: str
    note: str
    output: str | None

    def note_of(self, name: str) -> str | None:
        """What the note says under `name`."""
        kind, _, text = self.note.partition(": ")
        return text if kind == name else None


def examples(text: str) -> Iterator[Example]:
    """The blocks of a page, in order."""
    blocks = list(_BLOCK.finditer(text))
    assert len(blocks) * 2 == len(re.findall(r"^\s*```", text, re.MULTILINE)), "a block begins its line"
    for at, block in enumerate(blocks):
        language = block["language"]
        if language in {"text", "{eval-rst}"}:
            continue
        following = blocks[at + 1] if at + 1 < len(blocks) else None
        is_output = following is not None and following["language"] == "text"
        between = text[block.end() : following.start()].strip() if following else ""
        output = following["source"] if following and is_output and not between else None
        line = text.count("\n", 0, block.start("source"))
        yield Example(line, language, block["source"], block["note"] or "", output)


def comparable(output: str) -> list[str]:
    """The lines of an output, without what differs from run to run."""
    lines = (_VARYING.sub("#", line.rstrip()) for line in output.splitlines())
    lines = (line.replace(" (# of the models' time)", "") for line in lines)  # said where the two differ
    return [re.sub(r"[ ─=-]{2,}", "  ", line) for line in lines if line.strip()]


def matches(expected: str, actual: str) -> bool:
    """Whether an output is what a page says; a line of three dots there stands for any lines."""
    pattern = "".join(_ANY if line.strip() == "..." else f"{re.escape(line)}\n" for line in comparable(expected))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in comparable(actual))) is not None
