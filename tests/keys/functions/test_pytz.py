"""Time zones of pytz, which pandas 2 makes of a zone's name."""

from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

import nbcache

pytz: Any = pytest.importorskip("pytz")


@nbcache.memoize
def key_of(value: Any) -> Any:
    return value


def moments() -> list[Any]:
    paris = pytz.timezone("Europe/Paris")
    return [
        paris,
        pytz.timezone("Europe/Berlin"),
        pytz.timezone("Etc/GMT+5"),
        pytz.utc,
        pytz.FixedOffset(90),
        pytz.FixedOffset(-90),
        datetime(2024, 7, 1, tzinfo=paris),  # in local mean time, as pytz does it
        paris.localize(datetime(2024, 7, 1)),  # noqa: DTZ001 - pytz adds the zone
        paris.localize(datetime(2024, 1, 1)),  # noqa: DTZ001 - as above
        datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Paris")),
        datetime(2024, 7, 1, tzinfo=pytz.utc),
        datetime(2024, 7, 1, tzinfo=UTC),
        datetime(2024, 7, 1, tzinfo=pytz.FixedOffset(90)),
        time(10, tzinfo=pytz.utc),
    ]


def test_each_zone_is_told_apart_and_equal_ones_are_one() -> None:
    keys = [key_of.cache_key(value) for value in moments()]
    assert keys == [key_of.cache_key(value) for value in moments()]
    assert len({*keys}) == len(keys)


@pytest.mark.parametrize("name", ["Europe/Paris", "UTC"])
def test_tables_of_one_zone_by_two_libraries_are_two(name: str) -> None:
    keys = [
        key_of.cache_key(pd.Series(pd.date_range("2024-03-30", periods=3, tz=zone)))
        for zone in (pytz.timezone(name), ZoneInfo(name))
    ]
    assert keys[0] != keys[1]


def test_a_moment_of_pandas_is_one_of_its_zone() -> None:
    summer, winter, other = (
        pd.Timestamp(text, tz=pytz.timezone(zone))
        for text, zone in [
            ("2024-07-01", "Europe/Paris"),
            ("2024-01-01", "Europe/Paris"),
            ("2024-07-01", "Europe/Rome"),
        ]
    )
    assert len({key_of.cache_key(moment) for moment in (summer, winter, other)}) == 3
