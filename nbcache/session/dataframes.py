"""DataFrames of entries, calls and costs. Besides `codec/values`, this is the one module that imports pandas."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields
from shutil import get_terminal_size
from typing import Any

import pandas as pd

from nbcache.costs.events import CHEAP
from nbcache.costs.ledger_sums import add_to, by_kind, by_model
from nbcache.entry.durations_and_sizes import counted
from nbcache.entry.records import CallRecord, Spending
from nbcache.entry.stats import known, provider_saved
from nbcache.errors import harmless

COLUMNS = [
    *("key", "model", "provider", "prompt", "answer", "status", "tags", "notebook", "cell"),
    *("created", "last_hit", "hits", "size_bytes", "expires"),
    *("input_tokens", "output_tokens", "cost_usd", "seconds", "charged"),
    *("client", "streamed", "kind", "function"),
]
_FIELD_OF = {"notebook": "notebooks"}  # of EntryMeta
_CALLS = ["when", "cell", "model", "hit", "why", "usd", "estimated", "seconds", "key", "price", "kind"]
# What a narrow text shows of entries, calls and sums. Of these, the last are left out first.
_IMPORTANT = [
    *("key", "model", "hit", "why", "prompt", "hits", "misses", "usd", "cost_usd", "spent_usd", "saved_usd"),
    *("cell", "created", "when", "seconds", "saved_seconds"),
]
_FEW = 8  # columns, which somebody has chosen: all of them are shown
_SHORT: dict[str, Callable[[object], str]] = {
    "key": lambda key: str(key)[:8],
    "created": lambda when: str(when)[:19],
    "when": lambda when: str(when)[:19],
}
_NOT_SUMS = ("session", "execution", "when", "notebook", "cell", "model", "partly_priced_hits", "kind")
_SUMS = [field.name for field in fields(Spending) if field.name not in _NOT_SUMS]
_COUNTS = [name for name in _SUMS if name.endswith(("_hits", "_misses"))]
_HISTORY = [
    *("when", "notebook", "cell", "calls", "hits"),
    *("spent_usd", "saved_usd", "saved_seconds", "model_seconds"),
    *(name for name in _COUNTS if not name.startswith("provider_")),
    *("provider_saved_usd", "provider_priced_misses", "provider_unpriced_misses"),
]


class Column(pd.Series):
    """A column. Its text has no control characters, which could drive a terminal; its values are unchanged."""

    @property
    def _constructor(self) -> type["Column"]:
        return Column

    @property
    def _constructor_expanddim(self) -> type["Table"]:
        return Table

    def __repr__(self) -> str:
        return harmless(super().__repr__())


class Table(pd.DataFrame):
    """A DataFrame. Its text has no control characters, which could drive a terminal; its values are unchanged."""

    @property
    def _constructor(self) -> type["Table"]:
        return Table

    @property
    def _constructor_sliced(self) -> type[Column]:
        return Column

    def __repr__(self) -> str:
        return harmless(self._narrow_text() or super().__repr__())

    def _narrow_text(self) -> str:
        """The most important columns, where not all of many fit side by side. Empty if they do, or if none would."""
        width = pd.get_option("display.width") or get_terminal_size().columns
        if (
            self.empty
            or len(self.columns) <= _FEW
            or self.columns.nlevels > 1
            or not pd.get_option("display.expand_frame_repr")
        ):
            return ""
        with pd.option_context("display.expand_frame_repr", False):
            if _wide(super().__repr__()) <= width or not self.columns.is_unique:
                return ""
        names = [name for name in _IMPORTANT if name in self.columns]
        while names and _wide(text := self._text_of(names, width)) > width:
            names.pop()
        rest = counted(len(self.columns) - len(names), "more column")
        return f"{text}\n({rest}: the table's `columns` are their names)" if names else ""

    def _text_of(self, names: list[str], width: int) -> str:
        """The text of these columns, in which keys, times and prompts are short."""
        return self.to_string(
            columns=names,
            formatters={name: short for name, short in _SHORT.items() if name in names}
            | ({"prompt": lambda prompt: _cut(prompt, width // 3)} if "prompt" in names else {}),
            max_rows=pd.get_option("display.max_rows"),
            min_rows=pd.get_option("display.min_rows"),
            max_colwidth=pd.get_option("display.max_colwidth"),
        )


def _wide(text: str) -> int:
    return max(map(len, text.splitlines()))


def _cut(text: object, most: int) -> str:
    line = repr(text)[1:-1] if isinstance(text, str) else str(text)
    return line if len(line) <= most else line[: most - 1] + "…"


def entries_frame(columns: dict[str, list[Any]]) -> pd.DataFrame:
    """A row for each entry, from the fields of EntryMeta. Times are UTC, money is Decimal, notebooks and tags are joined.

    `columns` is emptied: a million entries would take twice the memory in both.
    """
    return Table({name: _entries_column(name, columns.pop(_FIELD_OF.get(name, name))) for name in COLUMNS})


def _entries_column(name: str, values: list[Any]) -> "pd.Series[Any]":
    if name in {"tags", "notebook"}:
        line_of = _Lines()
        return _series([line_of[each] for each in values])
    if name in {"created", "last_hit", "expires"}:
        return _times(pd.Series(values, dtype="float64"))
    kind: Any = {"input_tokens": "Int64", "output_tokens": "Int64", "seconds": "float64"}.get(name)
    return _series(values, kind)


def _series(values: list[Any], kind: Any = None) -> "pd.Series[Any]":
    """A column. Halves of characters, which pandas can't keep, become question marks."""
    with suppress(UnicodeEncodeError):
        column: pd.Series[Any] = pd.Series(values, dtype=kind)
        return column
    return pd.Series([each.encode(errors="replace").decode() if isinstance(each, str) else each for each in values])


class _Lines(dict[tuple[str, ...], str]):
    """Words, joined: equal ones share one text."""

    def __missing__(self, words: tuple[str, ...]) -> str:
        self[words] = line = ", ".join(words)
        return line


def history_frame(rows: Iterable[Spending]) -> pd.DataFrame:
    """A row for each execution of a cell, whatever models it called. Money is Decimal, None where no price is known."""
    executions: dict[tuple[str, int, str | None], Spending] = {}
    for row in rows:
        add_to(executions, (row.session, row.execution, row.notebook), row)
    frame = _sums_frame(executions.values(), _HISTORY)
    frame["when"] = _times(frame["when"])
    return frame


def models_frame(rows: Iterable[Spending]) -> pd.DataFrame:
    """A row for each model, by name. Money is Decimal, None where no price is known."""
    return _frame_by("model", by_model(rows))


def kinds_frame(rows: Iterable[Spending]) -> pd.DataFrame:
    """A row for each kind of call that was made: `call`, `embedding`, `function`, `tool`. Money is as in `models_frame`."""
    return _frame_by("kind", by_kind(rows))


def _frame_by(name: str, sums: dict[str, Spending]) -> pd.DataFrame:
    frame = _sums_frame(sums.values(), _SUMS)
    return frame.set_index(pd.Index(list(sums), name=name))


def calls_frame(calls: Iterable[CallRecord]) -> pd.DataFrame:
    """A row for each call. `usd` (Decimal) is what it paid or saved, and is missing if that is unknown.

    `why` is why it missed; or `cheap`, if its answer was not kept by the settings `min_seconds` and `min_usd`.
    """
    calls = list(calls)
    frame = Table([[getattr(call, name) for name in _CALLS] for call in calls], columns=_CALLS)
    frame["why"] = [CHEAP if call.is_cheap else call.why for call in calls]
    frame["when"] = _times(frame["when"])
    return frame


def _sums_frame(rows: Iterable[Spending], columns: list[str]) -> pd.DataFrame:
    frame = Table([[_sums(row)[name] for name in columns] for row in rows], columns=columns, dtype="object")
    for name in columns:
        if name.endswith("_seconds"):
            frame[name] = frame[name].astype("float64")
        elif name in {"calls", "hits", "misses", *_COUNTS}:
            with suppress(OverflowError):  # the ledger is damaged
                frame[name] = frame[name].astype("int64")
    return frame


def _sums(row: Spending) -> dict[str, object]:
    """The sums of a row. A sum of which nothing is known is None."""
    return {name: getattr(row, name) for name in ("when", "notebook", "cell", *_SUMS)} | {
        "calls": row.hits + row.misses,
        "spent_usd": known(row.spent_usd, row.misses, row.unpriced_misses),
        "saved_usd": known(row.saved_usd, row.hits, row.unknown_hits),
        "provider_saved_usd": provider_saved(row),
        "saved_seconds": known(row.saved_seconds, row.hits, row.untimed_hits),
        "model_seconds": row.model_seconds or known(0.0, row.hits, row.untimed_hits),
    }


def _times(seconds: "pd.Series[float]") -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(seconds.astype("float64"), unit="s", utc=True, errors="coerce")
