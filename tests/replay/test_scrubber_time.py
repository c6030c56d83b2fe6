"""The search for secrets takes time in proportion to a text, whatever it is."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from nbcache.replay.secrets.rule import Rule
from nbcache.replay.secrets.rules import rules
from nbcache.replay.secrets.scrubber import Scrubber

sre, sre_parser = import_module("re._constants"), import_module("re._parser")  # what the patterns consist of

_LENGTH, _TEXTS = 6_000, 25
_NOTABLE = 0.05  # seconds: below it, nothing is quadratic that matters


def pieces(source: str) -> list[str]:
    """What a pattern consists of: its words, a sign of each set, and what is none of it."""
    found = {" ", "=", "\n", "a", "A", "1", '"', "'", ":", "\\", "-", ".", ";", "é", "<", "/"}
    found.update(_words(sre_parser.parse(source)))
    return sorted(found)


def _words(items: Any) -> Iterator[str]:
    word = ""
    for kind, value in items:
        if kind is sre.LITERAL:
            word += chr(value)
            continue
        if word:
            yield word
        word = ""
        if kind is sre.IN:
            yield from (chr(each) for sort, each in value if sort is sre.LITERAL)
        elif isinstance(value, tuple | list):
            for inner in _inner(value):
                yield from _words(inner)
    if word:
        yield word


def _inner(value: Any) -> Iterator[Any]:
    for each in value:
        if isinstance(each, sre_parser.SubPattern):
            yield each
        elif isinstance(each, list):
            yield from _inner(each)


def texts(rule: Rule, random_: random.Random) -> Iterator[tuple[str, str, str]]:
    """A beginning, what is repeated after it, and an end: alone, in pairs, nested, and just missing what is sought."""
    parts = pieces(rule.source)
    begin = [*rule.words, rule.prefix.replace("[", "").replace("]", "")]
    for word in begin:
        yield "", word, ""
        yield word, "a", "!"
        yield word, "a1", "!"
        yield "", f"{word}=", ""
        yield "", f"{word}.", "!"
    for _ in range(_TEXTS):
        one, two, three = (random_.choice(parts) for _ in range(3))
        word = random_.choice(begin)
        yield random_.choice([("", word + one + two, three), (word + one, two + three, "!"), (one, word, two)])


def seconds(rule: Rule, text: str) -> float:
    began = time.process_time()
    for _ in rule.pattern.finditer(text):
        pass
    return time.process_time() - began


@pytest.mark.parametrize("rule", rules(), ids=[f"{at} {rule.kind or rule.words[0]}" for at, rule in enumerate(rules())])
def test_a_form_takes_time_in_proportion_to_any_text(rule: Rule) -> None:
    for begin, repeated, end in texts(rule, random.Random(rule.source)):
        small, large = (begin + repeated * (size // max(1, len(repeated))) + end for size in (_LENGTH, 8 * _LENGTH))
        for _ in range(3):  # something else may have been in the way
            took = seconds(rule, large)
            if took < _NOTABLE or took < 24 * seconds(rule, small):
                break
        else:
            pytest.fail(f"{rule.kind}: {begin!r} {repeated!r} {end!r} takes {took:.2f} s")


SLOW = """
import sys
from nbcache.concurrency import regex_time_limit
from nbcache.replay.secrets.scrubber import Scrubber
regex_time_limit.SECONDS = 0.5
try:
    Scrubber(sys.argv[1]).text("ACME-" + "a" * 60 + "!")
except ValueError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no alarm")
@pytest.mark.parametrize("pattern", ["ACME-(a+)+$", "(a|a)*b", "(a|aa)+$"])
def test_a_users_pattern_that_never_ends_is_given_up(pattern: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SLOW, pattern], capture_output=True, text=True, timeout=120, check=True
    )
    assert "takes longer than" in done.stdout


def test_an_alarm_of_somebody_elses_is_left_alone() -> None:
    if not hasattr(signal, "setitimer"):
        return
    signal.setitimer(signal.ITIMER_REAL, 1_000)
    try:
        assert Scrubber("ACME-[0-9]+").text("ACME-12") == "[secret]"
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def test_no_form_is_compiled_before_it_is_needed() -> None:
    code = "from nbcache.replay.secrets import compiled, scrubber; print(compiled.compiled.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "0\n"
