"""What a warm-up would make, and about what that would cost. Nothing is sent, kept or counted."""

import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from decimal import Decimal
from statistics import median_low
from typing import Any, NamedTuple

from nbcache import codec
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.cache.planned_keys import planned_key
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


class _PlannedCall(NamedTuple):
    """The call of an input. It has no `key` if its identity can't be established."""

    key: CallKey | None
    is_looked_up: bool = False


def estimate(runnable: Any, inputs: Iterable[Any], cache: NotebookCache, *, is_async: bool) -> Warmed:
    """What `nbcache.warm` would do. Raises ValueError if it can't be told what `runnable` would call; StoreError."""
    began = time.monotonic()
    calls = input_calls(runnable, is_async=is_async)
    planned, failures = _planned(calls, inputs, cache)
    stored = _hits(
        cache, [key.key for key, is_looked_up in planned if key is not None and is_looked_up], calls.function
    )
    hits, missing = 0, list[CallKey | None]()
    for key, is_looked_up in planned:
        if key is not None and is_looked_up and key.key in stored:
            hits += 1
            continue
        missing.append(key)
        if key is not None:
            stored.add(key.key)  # the same input again is a hit
    costs = _Costs(cache)
    money = Money()
    for key in missing:
        money = money.add(costs.of(key, calls.function), estimated=True)
    usd = known(money.usd, money.calls, money.unpriced)
    seconds = time.monotonic() - began
    sums = (money.calls, money.unpriced, money.estimated)
    return Warmed(len(missing), hits, failures, usd, seconds, *sums, dry_run=True, basis="; ".join(costs.notes))


def _planned(
    calls: InputCalls, inputs: Iterable[Any], cache: NotebookCache
) -> tuple[list[_PlannedCall], tuple[tuple[Any, Exception], ...]]:
    """The calls of the inputs, and those inputs of which none can be made."""
    planned, failures, begun = list[_PlannedCall](), list[tuple[Any, Exception]](), []
    try:
        for value in inputs:
            try:
                prompt, llm_string, call = calls.call_of(arguments(value))
                begun.append(call)
                planned.append(_PlannedCall(*planned_key(cache, prompt, llm_string, call)))
            except UnstableIdentityError:
                planned.append(_PlannedCall(None))
            except Exception as error:  # noqa: BLE001 - what the call would raise
                failures.append((value, error))
    finally:
        for call in begun:
            call.end()  # it gives its samples back
    return planned, tuple(failures)


def _hits(cache: NotebookCache, keys: Collection[str], function: Memoized | None) -> set[str]:
    """Those of the keys whose entries would be hits."""
    hits = set()
    for row, payload in cache.contents("folder").stream(Filter(), set(keys)):
        try:
            whole = codec.read(payload, row.key)
            if whole.reusable:
                if function is not None and not function.is_generator:
                    value_in(whole.generations()[0], function.function)
                hits.add(row.key)
        except (DamagedError, NotStorableError):  # it would be made anew
            continue
    return hits


class _Costs:
    """About what calls would cost that are missing. `notes` say what that is worked out from."""

    def __init__(self, cache: NotebookCache) -> None:
        self._contents = cache.contents("folder")
        self._prices = cache.ledger.prices
        self._medians: dict[str, int | None] = {}
        self._of_function: Decimal | None = None
        self.notes: dict[str, None] = {}

    def of(self, key: CallKey | None, function: Memoized | None) -> Decimal | None:
        """US dollars for one call. None if that can't be told."""
        if function is not None:
            return self._recorded_cost(function)
        return None if key is None else self._cost(key)

    def _recorded_cost(self, function: Memoized) -> Decimal | None:
        """What the function's recorded calls cost at the median."""
        if not self.notes:
            name = function.labels[0]
            costs = [row.cost_usd for row in self._rows(Filter(model=name, kind=FUNCTION)) if row.cost_usd is not None]
            self._of_function = median_low(costs) if costs else None
            of = (
                f"the median of {counted(len(costs), 'recorded call')}"
                if costs
                else "no recorded call has a known cost"
            )
            self.notes[of] = None
        return self._of_function

    def _cost(self, key: CallKey) -> Decimal | None:
        """What a call would cost by the length of its prompt, if its answer is as long as those of its model at the median."""
        usage = usage_of((), document(key.identity), key.endpoint, key.prompt)
        if usage.output_tokens is None:
            usage = replace(usage, output_tokens=self._median_answer(key.model))
        if usage.output_tokens is not None:
            usage = estimated(usage, prompt_text(key.prompt), "")
        return self._prices.price(usage).usd

    def _median_answer(self, model: str) -> int | None:
        if model not in self._medians:
            tokens = [
                row.output_tokens for row in self._rows(Filter(model=model, kind=CALL)) if row.output_tokens is not None
            ]
            self._medians[model] = median_low(tokens) if tokens else None
            recorded = counted(len(tokens), "recorded answer")
            self.notes[
                f"answers as long as the median of {recorded} of {model}"
                if tokens
                else f"no recorded answer of {model}"
            ] = None
        return self._medians[model]

    def _rows(self, which: Filter) -> list[EntryMeta]:
        try:
            return self._contents.page(which, limit=_RECORDED)
        except UnsupportedError:  # the store can't list its entries
            return []
