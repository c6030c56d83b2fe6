"""What calls cost, for generated answers of the real clients: a part of `python -m tests.costs.generated`."""

from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest

from nbcache.costs.price_lookup import Price, Prices
from tests.costs.generated import other_cases
from tests.costs.generated.cases import KINDS, cases
from tests.costs.generated.compare import MISSING, RIGHT, WRONG, Comparer

pytestmark = pytest.mark.slow

EACH = 12  # one of so many is compared here


@pytest.fixture
def comparer() -> Iterator[Comparer]:
    with Comparer() as comparer:
        yield comparer


@pytest.mark.filterwarnings("ignore:The model .* is deprecated")  # Anthropic's, on a day that is to come
@pytest.mark.filterwarnings("ignore:Received unexpected tool content block")  # LangChain's own, of a search
@pytest.mark.parametrize("kind", KINDS)
def test_no_figure_is_wrong_and_none_is_missing(kind: str, comparer: Comparer) -> None:
    compared = list(comparer.compare(islice(cases(kind, 1), 0, None, EACH)))
    assert [str(each) for each in compared if each.verdict in {WRONG, MISSING}] == []
    assert compared


def test_a_figure_that_is_wrong_is_seen(comparer: Comparer, monkeypatch: pytest.MonkeyPatch) -> None:
    price = Prices.price

    def dearer(self: Prices, *args: object) -> Price:
        known = price(self, *args)  # type: ignore[arg-type]
        return known if known.usd is None else Price(known.usd * 2, known.why)

    def unknown(*_: object) -> Price:
        return Price(None, "unknown model")

    made = list(other_cases.groq(Random(0), 1))
    assert {each.verdict for each in comparer.compare(iter(made))} >= {RIGHT}
    monkeypatch.setattr(Prices, "price", dearer)
    assert {each.verdict for each in comparer.compare(iter(made))} >= {WRONG}
    monkeypatch.setattr(Prices, "price", unknown)
    assert {each.verdict for each in comparer.compare(iter(made))} >= {MISSING}
