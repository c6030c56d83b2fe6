"""Durations, sizes and counts, as people write them."""

import math
from datetime import timedelta
from typing import Any

import pytest

from nbcache.entry.durations_and_sizes import bytes_text, count, seconds, size
from tests.support.naming import shown


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, None),
        (90, 90),
        (0.5, 0.5),
        ("90", 90),
        ("90s", 90),
        (" 1.5 h ", 5400),
        ("2m", 120),
        ("7d", 604800),
        ("1W", 604800),
        (timedelta(days=1, seconds=1), 86401),
    ],
)
def test_durations_are_read(written: Any, read: float | None) -> None:
    assert seconds(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, None),
        (1000, 1000),
        ("512", 512),
        ("512B", 512),
        ("2GB", 2 * 10**9),
        ("1.5 kb", 1500),
        ("1MiB", 2**20),
        ("1gib", 2**30),
    ],
)
def test_sizes_are_read(written: Any, read: int | None) -> None:
    assert size(written) == read
    assert type(size(written)) is type(read)


def test_counts_are_read() -> None:
    assert (count(None), count(5), count("7"), count(5.0)) == (None, 5, 7, 5)
    with pytest.raises(ValueError, match="whole number"):
        count(1.5)


WRONG = [0, -1, math.nan, math.inf, "", "7 days", "d", "-1d", "1e3", "0s", "1d 2h", True, [], object()]


@pytest.mark.parametrize("written", WRONG, ids=shown)
@pytest.mark.parametrize(
    ("read", "name", "hint"), [(seconds, "ttl", "7d"), (size, "max_bytes", "2GB"), (count, "max_entries", "whole")]
)
def test_what_is_no_amount_is_refused_with_what_to_write(read: Any, name: str, hint: str, written: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name}=.*{hint}"):
        read(written)


def test_a_size_below_one_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="max_bytes"):
        size(0.5)


def test_a_unit_of_the_other_kind_is_refused() -> None:
    for read, written in ((seconds, "2GB"), (size, "7d"), (count, "7d")):
        with pytest.raises(ValueError, match="write"):
            read(written)
    with pytest.raises(ValueError, match="older_than='x'"):
        seconds("x", "older_than")


def test_a_negative_timedelta_is_refused() -> None:
    with pytest.raises(ValueError, match="ttl"):
        seconds(timedelta(days=-1))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_345, "12.3 kB"),
        (5e6, "5.0 MB"),
        (2e9, "2.0 GB"),
        (5e12, "5000.0 GB"),
    ],
)
def test_bytes_are_shown(number: float, text: str) -> None:
    assert bytes_text(number) == text
