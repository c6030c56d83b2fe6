"""What a warm-up would make, and about what that would cost. Nothing is sent, kept or counted."""

import time
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from statistics import median_low
from typing import Any

from nbcache import codec
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.cache.planned_keys import PlannedKey, planned_key
from nbcache.codec.values import value_in
from nbcache.costs.money import Money
from nbcache.entry.durations_and_sizes import counted
from nbcache.entry.filter import CALL, FUNCTION, Filter
from nbcache.entry.records import EntryMeta
from nbcache.entry.stats import known
from nbcache.entry.text import prompt_text
from nbcache.entry.usage.usage_of_call import estimated, usage_of
from nbcache.errors import DamagedError, NotStorableError, UnstableIdentityError, UnsupportedError
from nbcache.integrations.functions.memoized import Memoized
from nbcache.keys.key import CallKey
from nbcache.keys.request import document
from nbcache.session.warming.input_calls import InputCalls, input_calls
from nbcache.session.warming.results import Warmed
from nbcache.session.warming.targets import arguments

_RECORDED = 1_000  # the last entries of a model or a function, which say what another would cost


def estimate(runnable: Any, inputs: Iterable[Any], cache: NotebookCache, *, is_async: bool) -> Warmed:
    """What `nbcache.warm` would do. Raises ValueError if it can't be told what `runnable` would call; StoreError."""
    began = time.monotonic()
    calls = input_calls(runnable, is_async=is_async)
    planned, failures = _planned(calls, inputs, cache)
    missing = _missing(planned, _hits(planned, cache, calls.function))
    costs = _ModelCosts(cache) if calls.function is None else _FunctionCosts(cache, calls.function)
    money = Money()
    for key in missing:
        money = money.add(costs.of(key), estimated=True)
    return Warmed(
        made=len(missing),
        hits=len(planned) - len(missing),
        failures=failures,
        usd=known(money.usd, money.calls, money.unpriced),
        seconds=time.monotonic() - began,
        calls=money.calls,
        unpriced=money.unpriced,
        estimated=money.estimated,
        dry_run=True,
        basis="; ".join(costs.notes) if missing else "",
    )


def _planned(
    calls: InputCalls, inputs: Iterable[Any], cache: NotebookCache
) -> tuple[list[PlannedKey | None], tuple[tuple[Any, Exception], ...]]:
    """The key of each input's call, or None for a call without a key; and those inputs of which no call can be made."""
    planned, failures, begun = list[PlannedKey | None](), list[tuple[Any, Exception]](), []
    try:
        for value in inputs:
            try:
                prompt, llm_string, call = calls.call_of(arguments(value))
                begun.append(call)
                planned.append(planned_key(cache, prompt, llm_string, call))
            except UnstableIdentityError:
                planned.append(None)
            except Exception as error:  # noqa: BLE001 - what the call would raise
                failures.append((value, error))
    finally:
        for call in begun:
            call.end()  # it gives its samples back
    return planned, tuple(failures)


def _hits(planned: Iterable[PlannedKey | None], cache: NotebookCache, function: Memoized | None) -> set[str]:
    """The keys whose entries would be hits."""
    keys = {each.key.key for each in planned if each is not None and each.is_looked_up}
    hits = set()
    for row, payload in cache.contents("folder").stream(Filter(), keys):
        try:
            entry = codec.read(payload, row.key)
            if entry.reusable:
                if function is not None and not function.is_generator:
                    value_in(entry.generations()[0], function.function)
                hits.add(row.key)
        except (DamagedError, NotStorableError):  # it would be made anew
            continue
    return hits


def _missing(planned: Iterable[PlannedKey | None], hits: set[str]) -> list[CallKey | None]:
    """The keys of the calls that would be made, None for one without a key. The same input again is a hit."""
    missing, stored = list[CallKey | None](), {*hits}
    for each in planned:
        if each is None:
            missing.append(None)
        elif not each.is_looked_up or each.key.key not in stored:
            missing.append(each.key)
            stored.add(each.key.key)
    return missing


class _FunctionCosts:
    """About what a call of a memoized function costs: as its recorded calls do at the median. `notes` say so."""

    def __init__(self, cache: NotebookCache, function: Memoized) -> None:
        rows = _last_rows(cache, Filter(model=function.labels[0], kind=FUNCTION))
        costs = [row.cost_usd for row in rows if row.cost_usd is not None]
        self._usd = median_low(costs) if costs else None
        recorded = counted(len(costs), "recorded call")
        self.notes = [f"the median of {recorded}" if costs else "no recorded call has a known cost"]

    def of(self, _: CallKey | None) -> Decimal | None:
        """US dollars for one call. None if that can't be told."""
        return self._usd


class _ModelCosts:
    """About what calls of models cost: by their prompts, with answers as long as the recorded ones at the median.

    `notes` say which medians were used.
    """

    def __init__(self, cache: NotebookCache) -> None:
        self._cache = cache
        self._medians: dict[str, int | None] = {}
        self.notes: list[str] = []

    def of(self, key: CallKey | None) -> Decimal | None:
        """US dollars for one call. None if that can't be told."""
        if key is None:
            return None
        usage = usage_of((), document(key.identity), key.endpoint, key.prompt)
        if usage.output_tokens is None:
            usage = replace(usage, output_tokens=self._median_answer(key.model))
        if usage.output_tokens is not None:
            usage = estimated(usage, prompt_text(key.prompt), "")
        return self._cache.ledger.prices.price(usage).usd

    def _median_answer(self, model: str) -> int | None:
        """The tokens of the model's answers at the median. None if there is no answer."""
        if model not in self._medians:
            rows = _last_rows(self._cache, Filter(model=model, kind=CALL))
            tokens = [row.output_tokens for row in rows if row.output_tokens is not None]
            self._medians[model] = median_low(tokens) if tokens else None
            recorded = counted(len(tokens), "recorded answer")
            self.notes.append(
                f"answers as long as the median of {recorded} of {model}"
                if tokens
                else f"no recorded answer of {model}"
            )
        return self._medians[model]


def _last_rows(cache: NotebookCache, which: Filter) -> list[EntryMeta]:
    """The last entries of a model or a function."""
    try:
        return cache.contents("folder").page(which, limit=_RECORDED)
    except UnsupportedError:  # the store can't list its entries
        return []
