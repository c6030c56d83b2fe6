"""Exporting, importing and replaying a cassette, and the reasons of misses in a large store."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbcache import NotebookCache, ReplayMiss
from nbcache.replay.cassette_export import export_entries
from nbcache.replay.cassette_import import import_entries
from nbcache.replay.secrets.scrubber import Scrubber

from . import BenchError, shelf
from .markdown import table
from .target import Target
from .workload import entries

ASKED = 30  # misses that are explained
NAME = "answers.llmcache.jsonl"


@dataclass(frozen=True)
class Cassettes:
    """Seconds, of single runs: a cassette of so many entries and bytes; and why a call missed, in a store of `large`."""

    entries: int
    size: int
    export: float
    again: float
    bring: float
    opening: float
    miss: float
    large: int
    why: list[float]

    def targets(self) -> Iterable[Target]:
        """What was to be reached."""
        yield Target(f"export of {self.entries:,} entries, seconds", self.export, 5, min(self.export, self.again))
        yield Target(f"import of {self.entries:,} entries into an empty store, seconds", self.bring, 5)
        slowest = f"the slowest of {len(self.why)}"
        yield Target(f"why a call missed, at {self.large:,} entries, {slowest}, ms", 1e3 * max(self.why), 100)

    def sections(self) -> Iterable[str]:
        """The part of the page."""
        typical = sorted(self.why)[len(self.why) // 2]
        return [
            "## Cassettes",
            "",
            *table(
                (f"{self.entries:,} entries, {self.size / 1e6:.1f} MB", "seconds"),
                [
                    ("export", f"{self.export:.2f}"),
                    ("export again, nothing has changed", f"{self.again:.2f}"),
                    ("import into an empty store", f"{self.bring:.2f}"),
                    ("the first call in `replay`, which reads the cassette", f"{self.opening:.2f}"),
                    ("a miss in `replay`, explained", f"{self.miss:.2f}"),
                ],
            ),
            "## Why a call missed",
            "",
            *table(
                (f"{self.large:,} entries", "ms"),
                [("typical", f"{1e3 * typical:.1f}"), ("slowest", f"{1e3 * max(self.why):.1f}")],
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        """Every figure, in seconds and bytes."""
        return asdict(self)


def measure(folder: Path, count: int, large: Path, entries_there: int) -> Cassettes:
    """Time a cassette of `count` entries in `folder`, and misses in the store `large`."""
    shelf.fill(folder / "from", count)
    source, path, scrubber = NotebookCache(folder / "from", scope="folder"), folder / NAME, Scrubber()
    export, again = (_seconds(lambda: export_entries(source.contents(), path, scrubber=scrubber)) for _ in range(2))
    there = source.stats().entries  # some have expired
    source.close()
    target = NotebookCache(folder / "to", scope="folder")
    bring = _seconds(lambda: import_entries(target.contents(), path))
    if target.stats().entries != there:
        raise BenchError(f"{target.stats().entries} of {there} entries were imported")
    target.close()
    opening, miss = _replay(folder / "empty", path)
    return Cassettes(there or 0, path.stat().st_size, export, again, bring, opening, miss, entries_there, _why(large))


def _replay(folder: Path, path: Path) -> tuple[float, float]:
    """Seconds until the first hit, and until a miss is explained."""
    cache = NotebookCache(folder, mode="replay", cassette=path)
    text = path.read_text(encoding="utf-8")
    entry = next(
        each for each in entries(range(1_000)) if json.dumps(each.messages[-1].text, ensure_ascii=False) in text
    )
    try:
        opening = _seconds(lambda: cache.lookup(entry.prompt, entry.llm_string))
        return opening, _seconds(lambda: _missed(cache, entry.prompt.replace("Python", "Pithon"), entry.llm_string))
    finally:
        cache.close()


def _missed(cache: NotebookCache, prompt: str, llm_string: str) -> None:
    try:
        cache.lookup(prompt, llm_string)
    except ReplayMiss:
        return
    raise BenchError("an edited prompt was a hit")


def _why(store: Path) -> list[float]:
    """Seconds of each explanation, of calls whose prompts were edited a little."""
    cache = NotebookCache(store, scope="folder", mode="read-only")
    try:
        seconds = []
        for entry in entries(range(0, ASKED * 700, 700)):
            if cache.lookup(entry.prompt.replace("knows", "knew"), entry.llm_string) is not None:
                raise BenchError("an edited prompt was a hit")
            seconds.append(_seconds(cache.why))
            if not cache.why().changes:
                raise BenchError("nothing was found to be like an edited prompt")
        return seconds
    finally:
        cache.close()


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
