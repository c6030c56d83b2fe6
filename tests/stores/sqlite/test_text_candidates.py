"""A text is found in every entry that has it, by reading few of them: whatever is indexed, and in any script."""

import json
import random
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from nbcache import codec
from nbcache.codec.entry_description import header_of, row_of
from nbcache.entry.records import EntryMeta, Filter, Usage
from nbcache.keys.key import call_key
from nbcache.stores import DiskStore
from nbcache.stores.index_words import words_of
from nbcache.stores.sqlite import id_sets, search_index, selection, text_candidates, word_matches
from nbcache.stores.text_search import TextSearch
from nbcache.stores.view import Contents
from tests.stores.test_text_search import TEXTS, WANTED
from tests.stores.test_text_search import entries as odd_entries

_PIECES = [
    *("tar", "file", "TAR", "a", "b", "i", "k", " ", " ", "_", "-", ".", "\n", "\u00e9", "e\u0301", "\u0301", "\u0130"),
    *(
        "\u212a",
        "\u01f0",
        "x\u0302",
        "\ufb01",
        "\u00b2",
        "\u0149",
        "\u1fb3",
        "\u03b1\u0345",
        "\u65e5",
        "\u672c",
        "\uf900",
    ),
    *(
        "\u3042",
        "\u304b\u3099",
        "\u0439",
        "\u0438\u0306",
        "\u03c3\u03c2",
        "\u03a3",
        "\u00df",
        "\u017f",
        "\u2026",
        "9",
        "00",
    ),
    *("\U0001d41a", "\uff41", "\u1e9e", "\u01c6", "\u00b5", "\u0378", "\u0589", "\u200b", "\u00ad", "x" * 39, "z" * 41),
]


def entry(number: int, prompt: str, answer: str) -> tuple[EntryMeta, bytes]:
    key = call_key(prompt, json.dumps({"kwargs": {"model": "m"}, "number": number}))
    answers: list[Generation] = [ChatGeneration(message=AIMessage(answer)) if number % 2 else Generation(text=answer)]
    row = row_of(key, answers, Usage(), status="ok", created=float(number), notebook=None)
    return row, codec.encode(answers, header_of(key, row, None), reusable=True)


def store_of(folder: Path, made: list[tuple[EntryMeta, bytes]], indexed: int) -> DiskStore:
    """A store with these entries, of which the first are indexed."""
    store = DiskStore(folder / "store")
    for at, (row, payload) in enumerate(made):
        if at == indexed:
            while store.index(words_of, 50):
                pass
        store.put(row.key, payload, row)
    if indexed >= len(made):
        while store.index(words_of, 50):
            pass
    return store


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (id_sets, search_index, word_matches, text_candidates, selection):
        monkeypatch.setattr(module, "BLOCK", 64)
    monkeypatch.setattr(search_index, "MERGED_AT_ONCE", 10)


@pytest.mark.parametrize("most", [2, 2_000], ids=["many words", "few words"])
def test_a_text_is_found_in_every_entry_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(text_candidates, "_MOST_WORDS", most)
    draw = random.Random(most)

    def line() -> str:
        return "".join(draw.choices(_PIECES, k=draw.randrange(1, 12)))

    texts = [(line(), line() + " word " * 30 + line()) for _ in range(130)]
    made = [entry(number, *text) for number, text in enumerate(texts)]
    store = store_of(tmp_path, made, 115)
    for row, _ in made[::17]:
        store.delete(row.key)
    made = [each for number, each in enumerate(made) if number % 17]
    replaced = made[3]
    store.put(replaced[0].key, entry(3, "other", "tarball")[1], replaced[0])  # damaged: it has another key
    made[3] = (replaced[0], entry(3, "other", "tarball")[1])
    for _ in range(150):
        source = draw.choice(texts)[draw.randrange(2)].lower()
        start = draw.randrange(len(source))
        search = TextSearch(source[start : start + draw.randrange(1, 9)])
        wanted = [row.key for row, payload in reversed(made) if search.is_in(row, payload)]
        assert sorted(store.select(Filter(), search).keys()) == sorted(wanted), ascii(search.text)
    store.close()


def test_odd_entries_are_found(tmp_path: Path) -> None:
    made = [*{row.key: (row, payload) for row, payload in odd_entries()}.values()]  # the last of each call
    store = store_of(tmp_path, made, len(made))
    for text in (*WANTED, *TEXTS):
        search = TextSearch(text)
        wanted = {row.key for row, payload in made if search.is_in(row, payload)}
        assert set(store.select(Filter(), search).keys()) == wanted, ascii(text)
    store.close()


def test_few_entries_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [entry(number, f"What is x{number}?", f"subprocess{number % 100} and tarfile") for number in range(300)]
    store = store_of(tmp_path, made, 300)
    store.index(words_of, 50)
    read: list[str] = []
    is_in = TextSearch.is_in

    def counted(search: TextSearch, row: EntryMeta, payload: bytes) -> bool:
        read.append(row.key)
        return is_in(search, row, payload)

    monkeypatch.setattr(TextSearch, "is_in", counted)
    contents = Contents(store)
    for text, found, most in (
        ("process77", 3, 10),  # the fresh ones are read
        ("process77 and", 3, 13),
        ("PROCESS7", 33, 10),
        ("tarfile", 300, 10),
        ("is x299", 1, 12),
        ("nowhere", 0, 10),
        ("no tarfile", 0, 10),
    ):
        read.clear()
        assert contents.clear(match=text, dry_run=True).deleted == found, text
        assert len(read) <= most, text
    store.close()


def test_progress_is_that_of_the_entries_that_are_read(tmp_path: Path) -> None:
    made = [entry(number, "What?", f"one two{number}") for number in range(20)]
    store = store_of(tmp_path, made, 0)
    shown: list[tuple[int, int]] = []
    Contents(store).select(Filter(), "two", lambda done, of: shown.append((done, of)))
    assert shown == [(number, 20) for number in range(1, 21)]
    store.close()
