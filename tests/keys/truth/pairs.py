"""Calls in groups, each made once: within a group any two differ in one thing, so that each two are a pair."""

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import nbcache
from nbcache.stores.memory import MemoryStore
from tests.keys.truth.capture import Sent

WRONG, AGAIN, REFUSED, RIGHT = "wrong", "pays again", "refused", "right"
_CALLS = 2_000  # calls after which the cache is made anew: it remembers what was asked


@dataclass(frozen=True)
class Variant:
    """A call, told in words. `prepare` makes the client as it is then, and returns what makes the call."""

    label: str
    prepare: Callable[[], Callable[[], object]]


@dataclass(frozen=True)
class Group:
    """Calls of one `client` of which any two differ in the `topic` alone; `kind` is what the topic is one of."""

    client: str
    kind: str
    topic: str
    variants: Sequence[Variant]


@dataclass(frozen=True)
class Outcome:
    """What a call sent, and the keys under which it was looked up: none where it was refused."""

    label: str
    request: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """Two calls of a group, and how the keys judge them."""

    verdict: str
    client: str
    kind: str
    topic: str
    one: Outcome
    other: Outcome

    @classmethod
    def of(cls, group: Group, verdict: str, one: Outcome, other: Outcome) -> "Pair":
        """A pair of two calls of this group."""
        return cls(verdict, group.client, group.kind, group.topic, one, other)

    def __str__(self) -> str:
        differ = _difference(json.loads(self.one.request), json.loads(self.other.request), "")
        lines = [f"{self.verdict}: {self.client}, {self.kind}, {self.topic}"]
        lines += [f"    {self.one.label}", f"    {self.other.label}"]
        return "\n".join([*lines, *(f"      {line}" for line in list(differ)[:6])])


@dataclass
class Tally:
    """How many pairs were right, wrong and so on, of each kind and client; and examples of those that weren't right."""

    verdicts: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # (client, kind, verdict)
    calls: int = 0
    unsent: int = 0
    examples: dict[tuple[str, str, str, str], Pair] = field(default_factory=dict)

    def add(self, pair: Pair) -> None:
        """Count a pair; the first of each client, kind, topic and verdict is kept as an example."""
        self.verdicts[pair.client, pair.kind, pair.verdict] += 1
        if pair.verdict != RIGHT:
            self.examples.setdefault((pair.verdict, pair.client, pair.kind, pair.topic), pair)

    def count(self, *, client: str = "", kind: str = "", verdict: str = "") -> int:
        """How many pairs there are of this client, kind and verdict; of all, where none is named."""
        wanted = (client, kind, verdict)
        return sum(
            n
            for names, n in self.verdicts.items()
            if all(w in ("", name) for w, name in zip(wanted, names, strict=True))
        )

    def merge(self, other: "Tally") -> None:
        """Add what another process has counted."""
        self.verdicts += other.verdicts
        self.calls += other.calls
        self.unsent += other.unsent
        for name, pair in other.examples.items():
            self.examples.setdefault(name, pair)


class KeyStore(MemoryStore):
    """A store that holds nothing, and notes what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        """Nothing."""
        self.keys.append(key)
        return None


class Runner:
    """Makes calls with the cache on, and judges pairs of them."""

    def __init__(self) -> None:
        self._left = 0
        self._store = KeyStore()
        self._by_keys: dict[tuple[str, ...], tuple[Group, Outcome]] = {}
        self.tally = Tally()

    def run(self, group: Group) -> None:
        """Make the calls of a group, and judge each two of them, and each against whatever had the same key before."""
        outcomes = list(self._outcomes(group))
        for one, other in combinations(outcomes, 2):
            self.tally.add(Pair.of(group, judged(one, other), one, other))
        for outcome in outcomes:
            if not outcome.keys:
                continue
            whose, known = self._by_keys.setdefault(outcome.keys, (group, outcome))
            if known.request != outcome.request and whose is not group:
                self.tally.add(Pair.of(group, WRONG, outcome, known))

    def _outcomes(self, group: Group) -> Iterator[Outcome]:
        for variant in group.variants:
            if self._left == 0:
                self._store = KeyStore()
                nbcache.install(self._store)
                self._left = _CALLS
            self._left -= 1
            request = sent(variant, self._store.keys.clear)
            if request is None:
                self.tally.unsent += 1
                continue
            self.tally.calls += 1
            yield Outcome(variant.label, request, tuple(self._store.keys))


def sent(variant: Variant, begun: Callable[[], None] = lambda: None) -> str | None:
    """What the call sends; None where the client refuses to make it. `begun` is called before the call that counts."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                call = variant.prepare()
            except Sent:  # what making a client asks is no call
                return None
            begun()
            call()
    except Sent as caught:
        return caught.request
    except Exception:  # noqa: BLE001 - clients refuse wrong values each in their own way
        return None
    return None


def judged(one: Outcome, other: Outcome) -> str:
    """Whether the keys say of two requests what is so."""
    if not (one.keys and other.keys):
        return REFUSED
    if one.request == other.request:
        return RIGHT if one.keys == other.keys else AGAIN
    return WRONG if one.keys == other.keys else RIGHT


def _difference(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            yield from _difference(one.get(name, "(not sent)"), other.get(name, "(not sent)"), f"{path}.{name}")
        if one == other and list(one) != list(other):
            yield f"{path}: in another order"
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _difference(left, right, f"{path}[{number}]")
    elif json.dumps(one) != json.dumps(other):
        yield f"{path.lstrip('.')}: {json.dumps(one)[:120]} / {json.dumps(other)[:120]}"
