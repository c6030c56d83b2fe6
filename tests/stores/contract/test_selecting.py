"""What `Selecting` promises: entries that were selected say the same as the rows of a page, and are found by their texts."""

from dataclasses import dataclass
from decimal import Decimal

import pytest

from nbcache.entry.edit import Edit
from nbcache.entry.records import EntryMeta, Filter, Touch
from nbcache.stores import DiskStore
from nbcache.stores.base import Editable, Listable, Selecting
from nbcache.stores.selection import Shown
from nbcache.stores.text_search import search_for
from tests.stores.contract.entries import NOW, Clock, keep, key_of, stored

NEEDS = (Selecting, Listable, Editable)


def fill(store: DiskStore) -> None:
    for number in range(30):
        notebooks = ("a.ipynb",) if number % 2 else ("b.ipynb", "a.ipynb")
        cost = None if number % 4 == 0 else Decimal(number) / 7
        tags = ("t",) if number % 3 else ()
        keep(store, f"text {number}", created=NOW - number % 5, notebooks=notebooks, tags=tags, cost_usd=cost)
    store.touch([Touch(key_of("text 3"), "c.ipynb", 2, NOW)])


def test_a_selection_says_what_the_rows_of_a_page_say(store: DiskStore) -> None:
    fill(store)
    for which in (Filter(), Filter(notebook="b.ipynb"), Filter(tag="t"), Filter(notebook="nobody's")):
        rows, found = store.page(which), store.select(which)
        assert len(found) == len(rows) == store.number(which)
        assert list(found) == rows
        assert found.keys() == [row.key for row in rows]
        assert list(found.costs()) == [row.cost_usd for row in rows]
        assert list(found[3:7]) == rows[3:7]
        assert [found[0]] == rows[:1] if rows else True


def test_what_a_clear_would_do_counts_other_owners_and_leaves_out_what_has_expired(
    store: DiskStore, clock: Clock
) -> None:
    fill(store)
    meta = EntryMeta(key_of("short"), "m", "p", "a", "ok", NOW, notebooks=("a.ipynb",))
    store.put(key_of("short"), b"x", meta, 1)
    clock.advance(2)
    those = store.select(Filter(notebook="a.ipynb", include_expired=True))
    assert len(those) == 31
    done = those.clearing("a.ipynb")
    assert (done.deleted, done.kept) == (14, 16)  # of which one was touched by a third notebook
    assert {row.key for row in done.entries} == {key_of(f"text {number}") for number in range(1, 30, 2) if number != 3}
    assert done.size_bytes == sum(row.size_bytes for row in done.entries)
    assert those.clearing(None).deleted == 30


def test_entries_that_a_change_leaves_as_they_are_are_none_of_those_that_it_changes(store: DiskStore) -> None:
    fill(store)
    changed = store.select(Filter()).changed_by(Edit(add=("t",)))
    assert {row.key for row in changed} == {row.key for row in store.page() if not row.tags}


def test_entries_that_have_gone_are_left_out(store: DiskStore) -> None:
    fill(store)
    found = store.select(Filter())
    store.delete(key_of("text 1"))
    assert key_of("text 1") not in {row.key for row in found}
    assert len(list(found)) == 29


LONG = "before " * 100  # longer than what a row shows


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("whale", {"prompt", "answer"}),
        ("THE WHALE", {"prompt"}),
        ("swims", {"answer"}),
        ("zebra", set()),
        ("*whale?", {"prompt"}),
    ],
)
def test_a_text_is_found_in_prompts_and_answers_and_progress_is_shown(
    store: DiskStore, text: str, names: set[str]
) -> None:
    for name, prompt, answer in (
        ("prompt", f"{LONG} the whale?", "yes"),
        ("answer", "who?", f"{LONG} a whale swims"),
        ("no", "a", "b"),
    ):
        stored(store, name, prompt, answer)
    shown: list[tuple[int, int]] = []
    found = store.select(Filter(), search_for(text), lambda done, of: shown.append((done, of)))
    assert {row.model for row in found} == names
    assert not shown or shown[-1] == (len(shown), len(shown))


@dataclass
class Everywhere:
    """A search that finds all that it is given."""

    text: str = ""
    needs_more: bool = True

    def is_in(self, row: Shown, payload: bytes) -> bool:
        return bool(row.key and payload)


def test_a_filter_holds_for_a_search_too(store: DiskStore) -> None:
    fill(store)
    which = Filter(notebook="b.ipynb", tag="t")
    assert list(store.select(which, Everywhere())) == store.page(which)
