"""A text is found in an entry wherever a person reads it there: in the prompt or the answer, in any case."""

import json
from typing import Any

import pytest
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, Generation

from nbcache import codec
from nbcache.codec.entry_description import header_of, row_of
from nbcache.entry.records import EntryMeta, Usage
from nbcache.entry.text import answer_text, prompt_text, words
from nbcache.keys.key import call_key
from nbcache.stores.index_words import plain, words_of
from nbcache.stores.text_search import TextSearch, WordSearch

TEXTS = [
    *(
        'The Whale, "quoted"\nand in two lines',
        "caf\u00e9 au lait",
        "cafe\u0301 au lait",
        "\u212aelvin and \u0130stanbul",
    ),
    *(
        "half \ud83d an emoji",
        "C:\\\\new\\\\table",
        "\ufeffmark",
        "\u65e5\u672c\u8a9e\u306ewhale",
        "x" * 60 + "middle" + "y" * 60,
    ),
    *("a/b <tag> & 'more'", "1e-05 and true, null", "\u017ftra\u00dfe"),
]
WANTED = [
    "whale",
    "QUOTED",
    "lines",
    "and in",
    "two lines",
    "caf",
    "cafe",
    "kelvin",
    "istanbul",
    "stanbul",
    "emoji",
    "new\\\\table",
]
WANTED += [
    "ewtab",
    "mark",
    "middle",
    "tag>",
    "more",
    "1e-05",
    "none",
    "true",
    "null",
    "human",
    "system",
    "message",
    "content",
]
WANTED += [
    "lookup",
    "noon",
    "strasse",
    "stra",
    "tool",
    "nan",
    "zebra",
    "whales",
    'the whale" quoted',
    "e",
    " ",
    "argument",
    # beside an escape in a tool's arguments, and after one
    *("au lait", "e9 au lait", "9 au lait", "nand in two", "before the whale", "fore the whale"),
]


def entries() -> list[tuple[EntryMeta, bytes]]:
    made = []
    for text in TEXTS:
        call = {"name": "lookup", "args": {"argument": text, "number": 1e-05, "flag": True, "none": None}, "id": "1"}
        answers: list[Any] = [
            Generation(text=text),
            ChatGeneration(message=AIMessage([{"type": "text", "text": text}, {"type": "image_url"}, "plain"])),
            ChatGeneration(message=AIMessage("", tool_calls=[call])),
        ]
        long = "before " * 100  # longer than what a row shows
        prompts = ["at noon?", long + text, dumps([SystemMessage(long), HumanMessage(long + text)])]
        prompts.append(
            json.dumps([{"role": "user", "content": long + text}, {"type": "function_call", "name": "lookup"}])
        )
        for prompt in prompts:
            for answer in answers:
                key = call_key(prompt, json.dumps({"kwargs": {"model": "m"}, "text": text}))
                row = row_of(key, [Generation(text=long)], Usage(), status="ok", created=1.0, notebook=None)
                made.append((row, codec.encode([answer], header_of(key, row, None), reusable=True)))
    return made


def test_a_text_is_found_where_it_is_read() -> None:
    whole = []
    for row, payload in entries():
        read = codec.read(payload, row.key)
        whole.append((row, payload, prompt_text(read.header().prompt).lower(), answer_text(read.plain()).lower()))
    for text in WANTED:
        search, wanted = TextSearch(text), text.lower()
        for row, payload, prompt, answer in whole:
            is_shown = wanted in row.prompt.lower() or wanted in row.answer.lower()
            assert search.is_in(row, payload) == (is_shown or wanted in prompt or wanted in answer), (
                text,
                prompt,
                answer,
            )


def test_words_are_found_where_the_words_of_an_entry_begin_so() -> None:
    made = [(row, payload, {*map(plain, words_of(payload, row.key))}) for row, payload in entries()]
    for wanted in [*map(words, WANTED), {"whale", "quoted"}, {"stras", "e"}, {"1e", "05"}, {"日", "whale"}]:
        beginnings = {*map(plain, wanted)}
        search = WordSearch(beginnings, words_of)
        for row, payload, found in made:
            has = all(any(word.startswith(beginning) for word in found) for beginning in beginnings)
            assert search.is_in(row, payload) == has, (wanted, found)


def test_most_entries_need_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec.Payload, "header", None)
    for text in (
        "zebra crossing",
        "lines two",
    ):  # of which no word is in an entry, and which are there in another order
        assert not any(TextSearch(text).is_in(row, payload) for row, payload in entries())


def test_words_are_read_only_of_entries_that_may_have_them() -> None:
    read = []

    def noted(payload: bytes, key: str) -> set[str]:
        read.append(codec.read(payload, key))
        return words_of(payload, key)

    made = entries()
    assert not any(WordSearch(["zebra"], noted).is_in(row, payload) for row, payload in made)
    assert 0 < len(read) < len(made)


def test_an_entry_that_is_damaged_is_found_by_its_row() -> None:
    ((row, payload), *_) = entries()
    assert TextSearch("at noon").is_in(row, payload[:-1])
    assert not TextSearch("whale").is_in(row, payload[:-1])
