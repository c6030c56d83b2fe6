"""The keys of real models hold under the packages that are installed here, whichever they are."""

from collections.abc import Callable

import pytest
from langchain_core.globals import get_llm_cache
from langchain_openai import ChatOpenAI, OpenAI

from tests import compat


@pytest.mark.parametrize(("name", "ask"), compat.CASES.items(), ids=compat.CASES.keys())
def test_the_key_of_a_real_model_holds(name: str, ask: Callable[[], object]) -> None:
    assert compat.keys_asked(ask) == [compat.golden()[name]]


def test_every_golden_key_has_its_case_and_no_two_are_alike() -> None:
    golden = compat.golden()
    assert golden.keys() == compat.CASES.keys()
    assert len(set(golden.values())) == len(golden)


def test_the_script_tells_that_all_keys_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert compat.main() == 0
    told = capsys.readouterr().out
    assert f"{len(compat.CASES)} of {len(compat.CASES)} keys hold" in told
    assert "paid twice: nothing" in told


def test_the_script_fails_and_names_the_key_that_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = {**compat.golden(), "OpenAI": "0" * 40, "a case of old": "1" * 40}
    monkeypatch.setattr(compat, "golden", lambda: expected)
    assert compat.main() == 1
    told = capsys.readouterr().out
    assert "OpenAI  - should be 0000" in told
    assert "no such case: a case of old" in told
    assert f"{len(compat.CASES) - 1} of {len(compat.CASES)} keys hold" in told


def test_asking_for_a_key_leaves_no_trace() -> None:
    entry_points = ChatOpenAI.generate, OpenAI.generate
    compat.keys_asked(compat.CASES["ChatOpenAI"])
    assert (ChatOpenAI.generate, OpenAI.generate) == entry_points
    assert get_llm_cache() is None
