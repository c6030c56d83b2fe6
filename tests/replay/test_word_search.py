"""Many words looked for at once are found as each is by itself."""

import random

from nbcache.replay.secrets.word_search import WordSearch

WORDS = [
    "key",
    "--",
    "://",
    ":\\/\\/",
    "</",
    "@",
    "sk.eyJ",
    " -p",
    "1//0",
    "a+b",
    "[x]",
    "Q~",
    "passé",
    "鍵",
    "#c",
    "d&e",
    "f\ng",
]


def test_the_words_in_a_text_are_found() -> None:
    search, chosen = WordSearch(WORDS), random.Random(3)
    for _ in range(500):
        text = "".join(chosen.choice([*WORDS, *"ab ./~:-\n", "é", "skXeyJ", "KEY", "aab"]) for _ in range(12))
        assert search.words_in(text) == [word for word in WORDS if word in text]


def test_they_are_found_beside_half_an_emoji() -> None:
    assert WordSearch(WORDS).words_in("\ud83d the key") == ["key"]
