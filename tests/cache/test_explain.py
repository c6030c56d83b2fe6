"""Why a call missed: what went, or what differs from the nearest that was recorded."""

from pathlib import Path
from typing import Any

import openai
import pytest
from IPython.core.interactiveshell import InteractiveShell
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import nbcache
from nbcache import ReplayMiss
from nbcache.errors import UnknownKeyError
from nbcache.stores import MemoryStore
from tests.servers.provider import Answer, Provider
from tests.support.clock import Clock

RULES = "You are a helpful harbour master.\nAnswer in one sentence.\nNever guess a departure time."


def chat(provider: Provider, **given: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "max_retries": 0, **provider.openai, **given})


def text() -> str:
    return str(nbcache.why())


def test_a_call_like_no_other_was_never_seen(provider: Provider, store: Path) -> None:
    chat(provider).invoke("When does the boat come?")
    assert "nothing like it was recorded" in text()
    assert nbcache.why().reason == "new"
    chat(provider).invoke("zinc oxide melts")
    assert "nothing like it was recorded" in text()


def test_a_changed_setting_is_named_with_both_values(provider: Provider, store: Path) -> None:
    chat(provider, temperature=0.0).invoke("When does the boat come?")
    recorded = nbcache.entries().key[0]
    chat(provider, temperature=0.2).invoke("When does the boat come?")
    found = nbcache.why()
    assert found.nearest == recorded
    assert found.changes == ("temperature: 0.0 → 0.2",)
    assert "the same prompt is recorded" in found.text
    assert "When does the boat come?" in str(found)


def test_another_model_is_named(provider: Provider, store: Path) -> None:
    chat(provider).invoke("When does the boat come?")
    chat(provider, model="gpt-4o").invoke("When does the boat come?")
    assert nbcache.why().changes == ('model: "gpt-4o-mini" → "gpt-4o"',)


def test_the_changed_line_of_a_system_prompt_is_shown(provider: Provider, store: Path) -> None:
    question = HumanMessage("When does the boat come?")
    chat(provider).invoke([SystemMessage(RULES), question])
    chat(provider).invoke([SystemMessage(RULES.replace("one sentence", "two sentences")), question])
    found = nbcache.why()
    assert found.changes == ("- Answer in one sentence.", "+ Answer in two sentences.")
    assert "with the same settings" in found.text


def test_a_tool_that_was_edited_is_shown_where_it_differs(provider: Provider, store: Path) -> None:
    def tool(description: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": "f", "description": description, "parameters": {}}}

    for description in ("Looks up.", "Looks things up."):
        chat(provider).bind_tools([tool(description)]).invoke("When does the boat come?")
    assert nbcache.why().changes == ('tools[0].function.description: "Looks up." → "Looks things up."',)


def test_a_default_that_changed_is_suspected(provider: Provider, store: Path) -> None:
    chat(provider).invoke("When does the boat come?")
    chat(provider, top_p=0.9).invoke("When does the boat come?")
    assert nbcache.why().changes[0] == "top_p: not set → 0.9"
    assert "upgrade of a package" in nbcache.why().changes[1]


def test_another_endpoint_is_named(provider: Provider, store: Path) -> None:
    chat(provider).invoke("When does the boat come?")
    with Provider() as other:
        chat(provider, **other.openai).invoke("When does the boat come?")
    assert "at another endpoint" in nbcache.why().text


def test_another_image_is_named(provider: Provider, store: Path) -> None:
    for data in ("aGk=", "aG8="):
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        chat(provider).invoke([HumanMessage([{"type": "text", "text": "Which boat is this?"}, image])])
    assert nbcache.why().changes == ("what isn't text in the prompt: an image, a file, or who says it",)


def test_another_draw_is_named(provider: Provider, store: Path) -> None:
    with nbcache.mode(samples=True):
        chat(provider).invoke("When does the boat come?")
        chat(provider).invoke("When does the boat come?")
    assert "draw 2 of this call is new" in text()


def test_what_expired_says_how_long_before(clock: Clock, provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", ttl="1h")
    model = chat(provider)
    model.invoke("When does the boat come?")
    clock.ahead = 3 * 3600 + 1
    model.invoke("When does the boat come?")
    assert "its answer had expired, 2 hours before" in text()


def test_what_was_evicted_says_so(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", max_entries=1)
    for prompt in ("boat", "train", "boat"):
        chat(provider).invoke(prompt)
    assert "evicted to keep within the store's bounds" in text()
    assert nbcache.why().reason == "evicted"


@pytest.mark.parametrize("kind", ["disk", "memory"])
@pytest.mark.parametrize("caller", ["langchain", "sdk", "embeddings", "wrapped embeddings"])
def test_what_was_cleared_or_evicted_by_hand_says_so_with_when(
    kind: str, caller: str, clock: Clock, provider: Provider, tmp_path: Path
) -> None:
    nbcache.install(tmp_path / "store" if kind == "disk" else MemoryStore(clock=clock))
    embeddings = OpenAIEmbeddings(**provider.openai, check_embedding_ctx_length=False, model="text-embedding-3-small")
    messages: list[Any] = [{"role": "user", "content": "boat"}]
    plain = openai.OpenAI(**provider.openai, max_retries=0)
    calls = {
        "langchain": lambda: chat(provider).invoke("boat"),
        "sdk": lambda: plain.chat.completions.create(model="gpt-4o-mini", messages=messages),
        "embeddings": lambda: embeddings.embed_query("boat"),
        "wrapped embeddings": lambda: nbcache.wrap(embeddings).embed_query("boat"),
    }
    call: Any = calls[caller]
    call()
    nbcache.clear()
    clock.ahead = 3 * 3600
    call()
    assert "its answer had been cleared, 3 hours before" in text()
    assert nbcache.why().reason == "cleared"
    nbcache.evict(nbcache.entries().key[0])
    call()
    assert "its answer had been evicted by hand" in text()
    with nbcache.mode("refresh"):
        call()
    assert "made anew" in text()


@pytest.mark.parametrize(("finish", "says"), [("length", "cut off"), ("content_filter", "filtered")])
def test_a_recording_that_is_no_hit_says_why(provider: Provider, store: Path, finish: str, says: str) -> None:
    provider.answer(Answer("half", finish_reason=finish), Answer("half", finish_reason=finish))
    chat(provider).invoke("boat")
    chat(provider).invoke("boat")
    assert says in text()
    assert "`replay` plays it" in text()


def test_a_call_that_has_no_key_says_what_is_in_the_way(store: Path) -> None:
    class Silent(FakeListChatModel):
        rng: Any = None

    with pytest.warns(nbcache.NbcacheWarning):
        Silent(responses=["a"], rng=object()).invoke("boat")
    assert nbcache.why().reason == "not cacheable"
    assert "'rng'" in text()


def test_modes_say_that_they_were_it(provider: Provider, store: Path) -> None:
    with nbcache.mode("off"):
        chat(provider).invoke("boat")
    assert "the cache was off for this call" in text()
    with nbcache.mode("refresh"):
        chat(provider).invoke("boat")
    assert "made anew" in text()
    nbcache.install(store, exclude="gpt-4o*")
    chat(provider).invoke("boat")
    assert "excluded" in text()


def test_any_call_of_the_session_can_be_asked_for(provider: Provider, store: Path) -> None:
    chat(provider, temperature=0.0).invoke("When does the boat come?")
    chat(provider, temperature=0.2).invoke("When does the boat come?")
    key = nbcache.why().key or ""
    chat(provider).invoke("zinc oxide melts")
    assert nbcache.why(key[:8]).changes == ("temperature: 0.0 → 0.2",)
    with pytest.raises(UnknownKeyError, match="no call whose key"):
        nbcache.why("ffff0000")


def test_without_a_miss_there_is_nothing_to_explain(store: Path) -> None:
    with pytest.raises(UnknownKeyError, match="no call has missed"):
        nbcache.why()


def test_an_sdks_call_is_explained_as_well(provider: Provider, store: Path) -> None:
    sdk = nbcache.wrap(openai.OpenAI(**provider.openai, max_retries=0))
    for temperature in (0.0, 0.5):
        sdk.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "boat"}], temperature=temperature
        )
    assert nbcache.why().changes == ("temperature: 0.0 → 0.5",)


@pytest.mark.parametrize(
    ("one", "two", "is_advised"),
    [
        ("Today is 2026-11-29. When does the boat come?", "Today is 2026-11-30. When does the boat come?", True),
        ("It is 2026-11-29 10:02:03.25: any boat?", "It is 2026-11-29 11:12:13.5: any boat?", True),
        (
            f"{RULES} Run fd70b222-4130-4a52-965b-8542ff9a597c",
            f"{RULES} Run 7bf87260-12e1-4673-8945-1f16b63461c8",
            True,
        ),
        ("Today is 2026-11-29. When does the boat come?", "Today is 2026-11-30. When does the train come?", False),
        ("When does boat 12 come to us?", "When does boat 13 come to us?", False),
    ],
)
def test_a_new_date_or_uuid_in_the_prompt_hints_at_normalize(
    one: str, two: str, is_advised: bool, provider: Provider, store: Path
) -> None:
    chat(provider).invoke(one)
    chat(provider).invoke(two)
    assert ("NBCache.normalize" in text()) is is_advised


# In replay


def test_a_miss_in_replay_shows_what_differs_from_the_nearest_recording(
    provider: Provider, store: Path, tmp_path: Path
) -> None:
    chat(provider, temperature=0.0).invoke("When does the boat come?")
    chat(provider, temperature=0.0).invoke("Where is the harbour?")
    nbcache.export_cassette(tmp_path / "c.jsonl")
    for cassette in (tmp_path / "c.jsonl", None):
        nbcache.install(store, mode="replay", cassette=cassette)
        with pytest.raises(ReplayMiss) as miss:
            chat(provider, temperature=0.2).invoke("When does the boat come?")
        said = str(miss.value)
        assert "the same prompt is recorded as" in said
        assert "temperature: 0.0 → 0.2" in said
        assert "export_cassette()`" in said
        assert ("c.jsonl" in said) is (cassette is not None)
        assert nbcache.why().changes == ("temperature: 0.0 → 0.2",)


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_a_miss_in_replay_says_that_the_answer_was_cleared(kind: str, provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store" if kind == "disk" else MemoryStore())
    chat(provider).invoke("When does the boat come?")
    nbcache.clear()
    with nbcache.mode("replay"):
        with pytest.raises(ReplayMiss, match=r"not recorded any more: its answer had been cleared, .* before\n"):
            chat(provider).invoke("When does the boat come?")
        assert nbcache.why().reason == "cleared"
        with pytest.raises(ReplayMiss, match="was never recorded"):
            chat(provider).invoke("When does the train come?")
    chat(provider).invoke("When does the boat come?")
    assert nbcache.why().reason == "cleared"


@pytest.mark.parametrize("where", ["shell", "pytest", "script"])
def test_a_miss_in_replay_says_what_to_type_here(
    where: str, provider: Provider, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    InteractiveShell.clear_instance()
    if where == "shell":
        InteractiveShell.instance()
    chat(provider).invoke("Where is the harbour?")
    nbcache.export_cassette(tmp_path / "c.jsonl")
    empty = tmp_path / "another_store"
    texts = []
    for recorded in (store, empty):
        nbcache.install(recorded, mode="replay", cassette=tmp_path / "c.jsonl")
        if where == "script":
            monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
        with pytest.raises(ReplayMiss) as miss:
            chat(provider).invoke("When does the boat come?")
        texts.append(str(miss.value).splitlines()[-1])
    InteractiveShell.clear_instance()
    full, lacking = texts
    wanted = {
        "shell": ("`%llmcache on` and a key, then `%llmcache export`", "`%llmcache import c.jsonl` first"),
        "pytest": ("run `pytest --nbcache=on` with a key", "`nbcache.import_cassette('c.jsonl')` first"),
        "script": (
            "mode `on` and a key, then `nbcache.export_cassette()`",
            "`nbcache.import_cassette('c.jsonl')` first",
        ),
    }
    run, first = wanted[where]
    assert run in full
    assert "import" not in full
    assert run in lacking
    assert first in lacking
    assert ("%llmcache" in full + lacking) is (where == "shell")


def test_in_replay_another_endpoint_makes_no_difference(provider: Provider, store: Path) -> None:
    chat(provider, temperature=0.0).invoke("When does the boat come?")
    nbcache.install(store, mode="replay")
    with Provider() as other, pytest.raises(ReplayMiss):
        chat(provider, temperature=0.2, **other.openai).invoke("When does the boat come?")
    assert nbcache.why().changes == ("temperature: 0.0 → 0.2",)
