"""A hit, a miss and an update may not take more steps than they did: counted, so that a busy machine can't hide it.

The counts of this tree are kept by `python -m tests.support.call_counts --write`. A change that takes more has to say why.
"""

import pytest

from tests.support import call_counts

_TOLERANCE = 0.05
_CALLS = ("a repeated hit", "a repeated hit that is heard", "a miss", "an update by hand", "a lookup by hand")


@pytest.fixture(scope="module")
def counts() -> dict[str, call_counts.Counts]:
    return call_counts.of_this_tree()


@pytest.mark.parametrize("what", ["instructions", "calls"])
@pytest.mark.parametrize("call", _CALLS)
def test_a_call_takes_as_many_steps_as_before(call: str, what: str, counts: dict[str, call_counts.Counts]) -> None:
    expected = call_counts.expected()
    if expected is None:
        pytest.skip(f"no counts are kept for Python {call_counts.PYTHON}")
    now, before = counts[call][what], expected[call][what]
    kept = f"{call} takes {now:,} {what}, and {before:,} are kept. "
    assert now <= before * (1 + _TOLERANCE), kept + "Is that needed? Then `python -m tests.support.call_counts --write`"
    assert now >= before * (1 - _TOLERANCE), kept + "Keep that: `python -m tests.support.call_counts --write`"
