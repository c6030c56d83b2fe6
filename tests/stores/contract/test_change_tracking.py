"""Stores that tell whether something in them has changed."""

import pytest

from nbcache.stores.base import ChangeTracking
from tests.stores.contract.entries import put
from tests.support.rows import FullStore

NEEDS = (ChangeTracking,)


@pytest.mark.parametrize("change", ["another entry", "the same entry anew", "no entry"])
def test_the_token_is_another_after_a_change_and_only_then(store: FullStore, change: str) -> None:
    assert isinstance(store, ChangeTracking)
    key = put(store, 1)
    before = store.change_token()
    assert before is not None
    assert store.get(key) == b"payload"
    assert store.change_token() == before
    if change == "no entry":
        store.delete(key)
    else:
        put(store, 1 if change == "the same entry anew" else 2, b"newer")
    assert store.change_token() != before
