"""The text of a table fits a narrow page: its most important columns stand side by side, and the values stay as they are."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from nbcache.session.dataframes import COLUMNS, Table

KEY = "0123456789abcdef" * 2 + "01234567"


def entries(number: int = 3) -> Table:
    values = {
        "key": KEY,
        "model": "gpt-4o-mini",
        "prompt": "What is a functor,\nand what is a monad, and what is a monoid?",
        "created": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        "hits": 2,
    }
    return Table([[values.get(name) for name in COLUMNS]] * number, columns=COLUMNS)


def test_a_wide_table_shows_its_most_important_columns_in_80_columns() -> None:
    head, first, *_, last = repr(entries()).splitlines()
    assert head.split() == ["key", "model", "prompt", "hits", "cost_usd", "cell"]
    assert first.split()[:4] == ["0", "01234567", "gpt-4o-mini", "What"]
    assert r"functor,\nand w…" in first
    assert last == "(17 more columns: the table's `columns` are their names)"
    assert len(repr(entries()).splitlines()) == 5
    assert entries()["key"].tolist() == [KEY] * 3


def test_columns_that_were_chosen_are_all_shown() -> None:
    chosen = ["key", "model", "prompt", "created", "last_hit", "hits", "size_bytes", "status"]
    with pd.option_context("display.max_columns", 20):  # as in a kernel
        text = repr(entries()[chosen])
    assert all(name in text for name in chosen)


@pytest.mark.parametrize("width", [30, 50, 80, 120, 300])
def test_no_line_is_wider_than_the_page(width: int) -> None:
    with pd.option_context("display.width", width):
        text = repr(entries())
        assert max(map(len, text.splitlines()[:-1])) <= width
        assert "\\\n" not in text


def test_a_table_that_fits_is_shown_as_pandas_does() -> None:
    for frame in (entries()[["model", "hits"]], entries(0), Table()):
        assert repr(frame) == repr(pd.DataFrame(frame)).replace("Empty DataFrame", "Empty Table")


def test_who_wants_long_lines_gets_them() -> None:
    with pd.option_context("display.expand_frame_repr", False):
        assert repr(entries()) == repr(pd.DataFrame(entries()))


def test_a_long_table_shows_its_beginning_and_its_end() -> None:
    assert len(repr(entries(1000)).splitlines()) < 70
    assert "\n999 " in repr(entries(1000))


def test_what_users_make_of_a_table_has_a_text() -> None:
    frame = entries()
    twice = pd.concat([frame, frame], axis="columns")
    levels = frame.copy()
    levels.columns = pd.MultiIndex.from_product([["a"], COLUMNS])
    others = frame.assign(key=1, prompt=None, created=None)
    for made in (twice, levels, others, frame.T, frame.set_index("key"), frame.groupby("model").sum(numeric_only=True)):
        assert repr(made)
