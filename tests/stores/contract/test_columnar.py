"""What `Columnar` promises: all rows as columns, which say the same as the rows of a page."""

from dataclasses import fields
from decimal import Decimal

from nbcache.entry.records import EntryMeta, Filter, Touch
from nbcache.stores import DiskStore
from nbcache.stores.base import Columnar
from tests.stores.contract.entries import NOW, Clock, keep, key_of, said

NEEDS = (Columnar,)


def test_columns_say_what_rows_say(store: DiskStore, clock: Clock) -> None:
    for number in range(30):
        notebooks = ("a.ipynb",) if number % 2 else ("b.ipynb", "a.ipynb")
        cost = None if number % 4 == 0 else Decimal(number) / 7
        facts = {"client": ("langchain", "openai", None)[number % 3], "streamed": number % 2 == 0, "cost_usd": cost}
        facts |= {"kind": ("call", "function")[number % 2], "function": "judge" if number % 2 else None}
        keep(store, f"text {number}", created=NOW - number % 5, notebooks=notebooks, tags=("t",), **facts)
    store.put(key_of("short"), b"x", EntryMeta(key_of("short"), "m", "p", "a", "ok", NOW, charged=True, seconds=0.5), 1)
    store.touch([Touch(key_of("text 3"), "c.ipynb", 2, NOW)])
    for _ in range(2):  # before and after they are listed
        for which in (
            Filter(),
            Filter(notebook="b.ipynb"),
            Filter(notebook="nobody's"),
            Filter(client="openai"),
            Filter(kind="call"),
        ):
            rows = store.page(which)
            columns = store.columns(which)
            assert columns == {field.name: [getattr(row, field.name) for row in rows] for field in fields(EntryMeta)}
        clock.advance(2)
        store.index(said)
