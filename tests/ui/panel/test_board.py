"""What the panel is told, and what it may ask for: the kernel's numbers, and nothing that isn't text."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI

import nbcache
from nbcache import NbcacheError, NbcacheWarning, NotebookCache
from nbcache.entry.durations_and_sizes import bytes_text
from nbcache.entry.records import SORTABLE, Totals
from nbcache.entry.stats import Stats
from nbcache.errors import StoreError
from nbcache.session import installation
from nbcache.stores import MemoryStore
from nbcache.ui.panel.board import Board
from tests.servers import canned as c
from tests.servers.canned import Canned
from tests.servers.provider import Answer, Provider
from tests.support.paths import GOLDEN

PRICES = {"m": {"input": 2, "output": 8}}  # 1,000 tokens in and 500 out are $0.006


@pytest.fixture
def server() -> Iterator[Canned]:
    with Canned() as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> NotebookCache:
    return as_notebook(tmp_path / "store", tmp_path / "mine.ipynb")


def as_notebook(folder: Path, notebook: Path, **settings: Any) -> NotebookCache:
    return nbcache.install(folder, notebook=notebook, prices=PRICES, **settings)


def paying(server: Canned, model: str = "m", replies: int = 1) -> ChatOpenAI:
    server.reply(*[c.chat(model, {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500})] * replies)
    return ChatOpenAI(model=model, base_url=f"{server.url}/v1", api_key="sk-test", max_retries=0)


def fake(*answers: str) -> FakeListChatModel:
    return FakeListChatModel(responses=list(answers or ("an answer",)))


def share_with_another_notebook(folder: Path) -> None:
    """Turn the cache on for a notebook with three entries, one of which another notebook owns, too."""
    theirs = as_notebook(folder / "store", folder / "theirs.ipynb")
    for question in ("shared apple", "their apple"):
        fake().invoke(question)
    theirs.flush()
    as_notebook(folder / "store", folder / "mine.ipynb")
    for question in ("shared apple", "my apple", "my pear"):
        fake().invoke(question)


def ask(board: Board, kind: str, /, **message: Any) -> dict[str, Any]:
    reply = board.ask({"type": kind, **message})
    assert json.loads(json.dumps(reply))  # what a widget sends is JSON
    return reply


def misses(**message: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ask(Board(), "misses", **message)["rows"]
    return rows


def why(miss: dict[str, Any]) -> tuple[str, list[str]]:
    reply = ask(Board(), "why", number=miss["number"])
    return reply["text"], list(reply["changes"])


def prompts(board: Board, **message: Any) -> list[str]:
    return [str(row["prompt"]) for row in ask(board, "page", **message)["rows"]]


# Numbers


def test_the_numbers_are_the_kernels(cache: NotebookCache, server: Canned) -> None:
    model = paying(server)
    for _ in range(3):
        model.invoke("q")
    stats = nbcache.stats()
    assert isinstance(stats, Stats)
    state = Board().state()
    assert (state["hits"], state["misses"], state["hit_rate"]) == (2, 1, 2 / 3)
    assert (state["saved"], state["saved_note"]) == ("up to $0.012", "")  # 2 x $0.006
    assert (state["spent"], state["spent_note"]) == ("$0.006", "")
    assert (state["entries"], state["evictions"], state["errors"]) == (1, 0, 0)
    assert state["size"] == bytes_text(stats.size_bytes or 0)
    assert (state["on"], state["mode"], state["whose"], state["bounds"]) == (True, "on", "the notebook mine.ipynb", "")
    assert state["modes"] == ["on", "off", "read-only", "refresh", "replay"]
    assert Board(cache).state() == state


def test_what_has_no_price_is_said(cache: NotebookCache, server: Canned) -> None:
    unknown, known = paying(server, "unheard-of"), paying(server)
    for model in (unknown, known, unknown, known, known):
        model.invoke("q")
    state = Board().state()
    assert (state["spent"], state["spent_note"]) == ("≥ $0.006", "1 of 2 misses unpriced")
    assert (state["saved"], state["saved_note"]) == ("≥ $0.012", "1 of 3 hits unpriced")


def test_what_was_estimated_is_said(cache: NotebookCache, server: Canned) -> None:
    server.reply(c.chat("m", None))
    model = paying(server, replies=0)
    for _ in range(2):
        model.invoke("q")
    state = Board().state()
    assert (state["spent"][0], state["spent_note"]) == ("~", "1 of 1 miss estimated")
    assert (state["saved"][:7], state["saved_note"]) == ("up to ~", "1 of 1 hit estimated")


def test_with_bounds_they_are_told(tmp_path: Path) -> None:
    as_notebook(tmp_path / "store", tmp_path / "mine.ipynb", max_entries=1, max_bytes="1MB")
    for question in "ab":
        fake().invoke(question)
    state = Board().state()
    assert (state["bounds"], state["entries"], state["evictions"]) == ("at most 1.0 MB and 1 entry", 1, 1)


def test_before_any_call_there_is_nothing_and_no_rate(cache: NotebookCache) -> None:
    state = Board().state()
    assert (state["hits"], state["misses"], state["hit_rate"]) == (0, 0, None)
    assert (state["saved"], state["spent"], state["time_saved"]) == ("$0", "$0", "0 s")
    assert Board().cells() == []
    assert Board().chart()["when"] == []
    assert ask(Board(), "page")["rows"] == []


def test_while_the_cache_is_off_it_says_so() -> None:
    board = Board()
    assert board.state() == {"on": False, "mode": "off", "modes": ["on", "off", "read-only", "refresh", "replay"]}
    assert board.cells() == []
    assert board.chart() == {"when": [], "saved": [], "spent": [], "saved_text": "$0", "spent_text": "$0"}
    with pytest.raises(NbcacheError, match="load_ext"):
        ask(board, "page")


def test_it_shows_the_cache_that_is_on_now(cache: NotebookCache, tmp_path: Path) -> None:
    board = Board()
    fake().invoke("in the first")
    as_notebook(tmp_path / "other", tmp_path / "mine.ipynb")
    fake().invoke("in the second")
    assert board.state()["misses"] == 2
    assert prompts(board) == ["in the second"]
    nbcache.uninstall()
    assert not board.state()["on"]


def test_the_chart_ends_with_the_sums(cache: NotebookCache, server: Canned) -> None:
    model = paying(server)
    for _ in range(3):
        model.invoke("q")
        Board().state()
    chart = Board().chart()
    assert (chart["saved"][-1], chart["spent"][-1]) == (0.012, 0.006)
    assert {0.006, 0.012} <= set(chart["saved"]) <= {0, 0.006, 0.012}
    assert len(chart["when"]) == len(chart["saved"]) == len(chart["spent"])
    assert (chart["saved_text"], chart["spent_text"]) == ("up to $0.012", "$0.006")
    assert chart["when"] == sorted(chart["when"])


def test_the_latest_execution_of_each_cell(cache: NotebookCache, server: Canned) -> None:
    model = paying(server, replies=2)
    model.invoke("q")
    for cell, questions in (("one", "qr"), ("two", "q"), ("one", "rrr")):
        cache.enter_cell(cell)
        for question in questions:
            model.invoke(question)
        cache.leave_cell()
    told = [(row["cell"], row["calls"], row["hits"], row["spent"], row["saved"]) for row in Board().cells()]
    assert told == [
        ("outside of cells", 1, 0, "$0.006", "$0"),
        ("two", 1, 1, "$0", "up to $0.006"),
        ("one", 3, 3, "$0", "up to $0.018"),
    ]


def test_no_prompt_and_no_answer_is_in_what_is_pushed(cache: NotebookCache) -> None:
    cache.enter_cell("cell-1")
    for _ in range(2):
        fake("the zebra answered").invoke("a giraffe asked")
    pushed = json.dumps([Board().state(), Board().chart(), Board().cells()])
    assert "cell-1" in pushed
    for word in ("zebra", "giraffe"):
        assert word not in pushed
    for kind in ("page", "misses"):
        assert "giraffe" in json.dumps(ask(Board(), kind))


def test_it_tells_when_something_changes_until_it_is_told_to_stop(cache: NotebookCache) -> None:
    heard: list[int] = []
    stop = Board().listen(lambda: heard.append(1))
    fake().invoke("q")
    assert heard
    stop()
    heard.clear()
    fake().invoke("r")
    assert heard == []


# Pages


def test_words_are_found_right_after_the_call(cache: NotebookCache) -> None:
    board = Board()
    for name in ("Monads", "functors"):
        fake(f"All about {name.lower()}: Köln, 東京").invoke(f"What are {name}?")
    assert prompts(board, search="monad") == ["What are Monads?"]
    assert prompts(board, search="MONADS about") == ["What are Monads?"]
    assert prompts(board, search="köl") == ["What are functors?", "What are Monads?"]
    assert prompts(board, search="京") == ["What are functors?", "What are Monads?"]
    assert prompts(board, search="monads functors") == []
    assert prompts(board, search='" OR words MATCH * --') == []
    fake("anew").invoke("a third, a minute later")
    assert prompts(board, search="minute") == ["a third, a minute later"]


def test_words_beyond_the_preview_are_found_too(cache: NotebookCache) -> None:
    fake().invoke([SystemMessage("be a pirate"), HumanMessage("x " * 500 + "needle")])
    assert len(prompts(Board(), search="needle")) == 1
    assert len(prompts(Board(), search="pirate")) == 1


def test_every_filter(tmp_path: Path, provider: Provider) -> None:
    theirs = as_notebook(tmp_path / "store", tmp_path / "theirs.ipynb")
    fake().invoke("theirs")
    theirs.flush()
    cache = as_notebook(tmp_path / "store", tmp_path / "mine.ipynb", scope="folder")
    cache.enter_cell("In [7]")
    with nbcache.mode(tags=["draft", "second try"]):
        fake().invoke("tagged")
    cache.enter_cell("In [77]")
    provider.answer(Answer("half", finish_reason="length"))
    ChatOpenAI(model="m", **provider.openai).invoke("cut")
    board = Board()
    assert prompts(board) == ["cut", "tagged", "theirs"]
    assert prompts(board, model="m") == ["cut"]
    assert prompts(board, tag="draft") == ["tagged"]
    assert prompts(board, tag="second try", model="FakeListChatModel") == ["tagged"]
    assert prompts(board, cell="In [7]") == ["tagged"]
    assert prompts(board, status="cut off") == ["cut"]
    assert prompts(board, notebook="theirs.ipynb") == ["theirs"]
    assert prompts(board, notebook="mine.ipynb", status="ok", search="tagged", cell="In [7]") == ["tagged"]
    assert prompts(board, model="m", tag="draft") == []
    assert prompts(board, model="", tag=None, search="", status="") == ["cut", "tagged", "theirs"]
    facets = ask(board, "page", facets=True)["facets"]
    assert {name: list(values) for name, values in facets.items()} == {
        "model": ["FakeListChatModel", "m"],
        "tag": ["draft", "second try"],
        "notebook": ["mine.ipynb", "theirs.ipynb"],
        "cell": ["In [77]", "In [7]"],
        "status": ["cut off", "ok"],
        "client": ["langchain"],
        "kind": ["call"],
        "function": [],
    }
    assert "facets" not in ask(board, "page")


def test_the_kinds_of_entries_are_told_apart(cache: NotebookCache) -> None:
    model, embeddings = fake(), nbcache.wrap(DeterministicFakeEmbedding(size=3))

    class Grader:
        @nbcache.memoize(ignore=("self",))
        def grade(self, question: str, strict: bool = False) -> str:
            return model.invoke(question).text

    Grader().grade("a boat")
    embeddings.embed_query("a boat")
    board = Board()
    call = "test_the_kinds_of_entries_are_told_apart.<locals>.Grader.grade(question='a boat', strict=False)"
    assert prompts(board, kind="call") == ["a boat"]
    assert prompts(board, kind="function") == [call]
    assert prompts(board, kind="embedding") == ["a boat"]
    assert prompts(board, kind="tool") == []
    assert prompts(board, kind="function", search="ship") == []
    page = ask(board, "page", facets=True)
    assert page["facets"]["kind"] == ["call", "embedding", "function"]
    assert sorted(row["kind"] for row in page["rows"]) == page["facets"]["kind"]


def test_an_opened_function_is_its_call_and_its_value(cache: NotebookCache) -> None:
    @nbcache.memoize
    def judge(question: str, *, strict: bool = False) -> dict[str, object]:
        return {"question": question, "strict": strict}

    judge("a [boat]", strict=True)
    entry = ask(Board(), "entry", key=nbcache.entries().key[0])
    name = "test_an_opened_function_is_its_call_and_its_value.<locals>.judge"
    (call,), (value,) = entry["prompt"], entry["answer"]
    assert (call["role"], value["role"]) == ("call", "value")
    assert [part["text"] for part in call["parts"]] == [f"{name}(question='a [boat]', strict=True)"]
    assert [part["text"] for part in value["parts"]] == ["{'question': 'a [boat]', 'strict': True}"]
    facts = dict(entry["facts"])
    assert (facts["Kind"], facts["Function"]) == ("function", name)
    assert not {"Model", "Client"} & facts.keys()


def test_a_notebook_sees_its_own_and_no_choice_of_others(tmp_path: Path) -> None:
    theirs = as_notebook(tmp_path / "store", tmp_path / "theirs.ipynb")
    fake().invoke("theirs")
    fake().invoke("shared")
    theirs.flush()
    as_notebook(tmp_path / "store", tmp_path / "mine.ipynb")
    fake().invoke("shared")
    fake().invoke("mine")
    assert prompts(Board()) == ["mine", "shared"]
    assert prompts(Board(), notebook="theirs.ipynb") == ["mine", "shared"]  # there is no such filter here
    assert ask(Board(), "page", facets=True)["facets"]["notebook"] == []


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", [*SORTABLE, "cost"])
def test_every_sort(sort: str, descending: bool, cache: NotebookCache, server: Canned) -> None:
    for number, asked, hits in ((1, 30, 2), (2, 10, 0), (3, 20, 1)):
        server.reply(
            c.chat("m", {"prompt_tokens": asked, "completion_tokens": asked * number, "total_tokens": asked + number})
        )
        cache.enter_cell(f"In [{number}]")
        with nbcache.mode(ttl=1000 * asked):
            for _ in range(hits + 1):
                paying(server, replies=0).invoke(f"{number} " * asked)
    frame = nbcache.entries()
    column = "cost_usd" if sort == "cost" else sort
    wanted = frame.assign(rank=range(len(frame), 0, -1)).sort_values(
        [column, "rank"], ascending=not descending, na_position="last" if descending else "first"
    )
    rows = ask(Board(), "page", sort=sort, descending=descending)["rows"]
    assert [row["key"] for row in rows] == wanted.key.tolist()


def test_pages_and_offsets_beyond_the_end(cache: NotebookCache) -> None:
    model = fake()
    for number in range(7):
        model.invoke(f"question {number}")
    board = Board()
    first = ask(board, "page", limit=3)
    assert (first["total"], first["offset"], first["limit"]) == (7, 0, 3)
    assert [row["prompt"] for row in first["rows"]] == ["question 6", "question 5", "question 4"]
    assert prompts(board, limit=3, offset=3) == ["question 3", "question 2", "question 1"]
    for offset in (6, 7, 9, 10**30):
        last = ask(board, "page", limit=3, offset=offset)
        assert (last["offset"], [row["prompt"] for row in last["rows"]]) == (6, ["question 0"])
    assert ask(board, "page", limit=3, offset=-5)["offset"] == 0
    assert len(prompts(board, limit=-5)) == 1
    assert len(prompts(board, limit=0)) == 7
    assert ask(board, "page", limit=10**9)["limit"] == 200
    nothing = ask(board, "page", search="nowhere", offset=50)
    assert (nothing["total"], nothing["offset"], nothing["rows"]) == (0, 0, [])


def test_the_size_of_a_page_is_that_of_all_that_the_filter_means(cache: NotebookCache) -> None:
    for number in range(3):
        fake("x" * number).invoke(f"question {number}")
    sizes = nbcache.entries().size_bytes
    assert ask(Board(), "page", limit=1)["size"] == f"{sizes.sum() / 1000:.1f} kB"


def test_a_row_has_the_entrys_numbers(cache: NotebookCache, server: Canned) -> None:
    cache.enter_cell("In [1]")
    model = paying(server)
    with nbcache.mode(tags="draft"):
        model.invoke("q")
    model.invoke("q")
    (row,) = ask(Board(), "page")["rows"]
    assert (row["model"], row["provider"], row["status"], row["cell"]) == ("m", "127.0.0.1", "ok", "In [1]")
    assert (row["tags"], row["notebooks"], row["hits"]) == (["draft"], ["mine.ipynb"], 1)
    assert (row["input_tokens"], row["output_tokens"], row["cost"]) == (1000, 500, "$0.006")
    assert row["last_hit"] >= row["created"]
    assert row["expires"] is None


# Misses


def test_the_last_misses_are_listed_the_newest_first_each_with_its_reason(tmp_path: Path) -> None:
    before = time.time()
    as_notebook(tmp_path / "store", tmp_path / "mine.ipynb", max_entries=1)
    for question in ("boat", "boat", "train", "boat"):
        fake().invoke(question)
    for mode in ("refresh", "off"):
        with nbcache.mode(mode):
            fake().invoke("boat")
    rows = misses()
    assert [(row["prompt"], row["why"]) for row in rows] == [
        ("boat", "off"),
        ("boat", "refresh"),
        ("boat", "evicted"),
        ("train", "new"),
        ("boat", "new"),
    ]
    assert {row["model"] for row in rows} == {"FakeListChatModel"}
    assert before <= rows[-1]["when"] <= rows[0]["when"] <= time.time()
    assert misses(limit=2) == rows[:2]
    assert "evicted to keep within the store's bounds" in why(rows[2])[0]


def test_a_miss_is_explained_by_what_differs_from_the_nearest(cache: NotebookCache, provider: Provider) -> None:
    for temperature, rules in ((0.0, "Be brief."), (0.2, "Be brief."), (0.2, "Be long.")):
        model = ChatOpenAI(model="m", temperature=temperature, **provider.openai)
        model.invoke([SystemMessage(rules), HumanMessage("When does the boat come?")])
    longer, warmer, first = misses()
    assert why(first) == ("nothing like it was recorded", [])
    assert why(warmer)[1] == ["temperature: 0.0 → 0.2"]
    assert why(longer)[1] == ["- system: Be brief.", "+ system: Be long."]
    assert "with the same settings" in why(longer)[0]


def test_misses_of_one_key_and_of_none_are_told_apart(cache: NotebookCache) -> None:
    fake().invoke("boat")
    with nbcache.mode("refresh"):
        fake().invoke("boat")
    for mode in ("off", "off"):
        with nbcache.mode(mode):
            fake().invoke("train")
    rows = misses()
    assert len({row["number"] for row in rows}) == 4
    assert [why(row)[0] for row in rows] == [
        "the cache was off for this call",
        "the cache was off for this call",
        "in mode `refresh` every call is made anew",
        "nothing like it was recorded",
    ]


def test_where_nothing_missed_no_miss_is_listed(cache: NotebookCache, tmp_path: Path) -> None:
    assert misses() == []
    fake().invoke("boat")
    (ended,) = misses()
    nbcache.uninstall()
    as_notebook(tmp_path / "store", tmp_path / "mine.ipynb")
    fake().invoke("boat")
    assert misses() == []
    with pytest.raises(ValueError, match="no longer known"):
        why(ended)


# What can't be answered


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": None},
        {"type": "drop table"},
        {"type": ["page"]},
        {"type": "page", "limit": "many"},
        {"type": "page", "limit": [1]},
        {"type": "page", "offset": {"a": 1}},
        {"type": "page", "offset": 1.5},
        {"type": "page", "sort": "id; DROP TABLE entry"},
        {"type": "page", "sort": ["created"]},
        {"type": "page", "model": {"a": 1}},
        {"type": "page", "tag": 7},
        {"type": "page", "kind": ["call"]},
        {"type": "page", "search": ["word"]},
        {"type": "entry"},
        {"type": "entry", "key": "zz"},
        {"type": "entry", "key": ""},
        {"type": "entry", "key": ["a"]},
        {"type": "entry", "key": "0" * 40},
        {"type": "renew", "key": "%"},
        {"type": "evict", "key": None},
        {"type": "evict", "key": "0" * 41},
        {"type": "evict shown", "model": 5},
        {"type": "evict shown", "notebook": ["mine.ipynb"]},
        {"type": "tag"},
        {"type": "tag", "text": "draft"},
        {"type": "tag", "text": "draft", "key": "zz"},
        {"type": "untag", "text": "draft", "key": ["a"]},
        {"type": "expire", "text": "1h", "key": "0" * 40},
        {"type": "misses", "limit": "many"},
        {"type": "why"},
        {"type": "why", "number": "1"},
        {"type": "why", "number": [1]},
        {"type": "why", "number": -1},
        {"type": "why", "number": 10**30},
        {"type": "mode"},
        {"type": "mode", "mode": "nonsense"},
        {"type": "mode", "mode": "on replay"},
        {"type": "mode", "mode": ["on"]},
    ],
    ids=repr,
)
def test_a_bad_request_is_refused_in_words_and_changes_nothing(message: dict[str, Any], cache: NotebookCache) -> None:
    fake().invoke("q")
    with pytest.raises((ValueError, NbcacheError)) as raised:
        Board().ask(message)
    assert len(str(raised.value).split()) >= 4
    assert "Traceback" not in str(raised.value)
    assert nbcache.stats().entries == 1
    assert cache.settings.mode == "on"
    assert prompts(Board()) == ["q"]


def test_a_key_that_means_several_entries_evicts_none(cache: NotebookCache) -> None:
    model = fake()
    for number in range(17):
        model.invoke(f"question {number}")
    digits = [key[0] for key in nbcache.entries().key]
    common = max(set(digits), key=digits.count)
    with pytest.raises(NbcacheError, match="write more digits"):
        ask(Board(), "evict", key=common)
    assert nbcache.stats().entries == 17


class Unlistable(MemoryStore):
    def totals(self, *_: Any) -> Totals:
        raise StoreError("the disk is on fire")


def test_a_store_that_fails_is_told_and_the_sums_go_on(server: Canned) -> None:
    nbcache.install(Unlistable(), prices=PRICES)
    paying(server).invoke("q")
    with pytest.warns(NbcacheWarning, match="on fire"):
        state = Board().state()
    assert (state["misses"], state["spent"]) == (1, "$0.006")
    with pytest.raises(NbcacheError, match="on fire"):
        ask(Board(), "page")


# One entry


def test_an_entry_is_a_chat_with_its_facts_and_parameters(cache: NotebookCache, server: Canned) -> None:
    cache.enter_cell("In [1]")
    model = paying(server)
    for _ in range(2):
        model.invoke([("system", "be brief"), ("human", "What is a monad?")])
    key = nbcache.entries().key[0]
    entry = ask(Board(), "entry", key=key[:8])
    assert entry["key"] == key
    assert entry["prompt"] == [
        {"role": "system", "parts": [{"kind": "text", "text": "be brief", "name": ""}]},
        {"role": "user", "parts": [{"kind": "text", "text": "What is a monad?", "name": ""}]},
    ]
    assert entry["answer"] == [{"role": "assistant", "parts": [{"kind": "text", "text": "Hi.", "name": ""}]}]
    facts = dict(entry["facts"])
    assert (facts["Kind"], facts["Model"], facts["Client"]) == ("call", "m", "langchain")
    assert (facts["Provider"], facts["Status"]) == ("127.0.0.1", "ok")
    assert facts["Tokens"] == "1,000 in, 500 out"
    assert facts["Price"] == "$0.006 when it was recorded"
    assert facts["Hits"].startswith("1, the last 20")
    assert (facts["Expires"], facts["Notebooks"], facts["Cell"], facts["Key"]) == ("never", "mine.ipynb", "In [1]", key)
    assert "Tags" not in facts
    parameters = json.loads(entry["parameters"])
    assert parameters["endpoint"] == f"{server.url}/v1"
    assert "sk-test" not in json.dumps(entry)


def test_what_is_not_known_of_an_entry_is_said(cache: NotebookCache) -> None:
    fake().invoke("q")
    facts = dict(ask(Board(), "entry", key=nbcache.entries().key[0])["facts"])
    assert (facts["Tokens"], facts["Price"], facts["Hits"]) == ("not reported", "not known", "0")
    assert "Provider" not in facts


def test_an_entry_of_version_1_opens(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "store_v1", tmp_path / "store")
    nbcache.install(tmp_path / "store")
    for row in ask(Board(), "page")["rows"]:
        entry = ask(Board(), "entry", key=row["key"])
        assert entry["prompt"][0]["parts"][0]["text"].startswith("golden prompt")


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "\x1b[31mred\x1b[0m `rm -rf /` {{7*7}} ${7*7}",
    "\u202egnp.exe \ud83d half an emoji",
    "'; DROP TABLE entry; --",
)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_comes_back_as_it_was_typed(text: str, cache: NotebookCache) -> None:
    """As text: it is the browser's side that shows it as such. Nothing is marked up, unescaped or executed here."""
    fake(text).invoke(text)
    (row,) = ask(Board(), "page")["rows"]
    entry = ask(Board(), "entry", key=row["key"])
    said = {"kind": "text", "text": text.replace("\ud83d", "?"), "name": ""}
    assert (entry["prompt"], entry["answer"]) == (
        [{"role": "user", "parts": [said]}],
        [{"role": "assistant", "parts": [said]}],
    )
    shown = text.replace("\ud83d", "?")
    assert (row["prompt"], row["answer"]) == (shown, shown)
    assert prompts(Board(), search=text) == [shown]


# What it does


def test_renew_makes_exactly_the_next_call_anew(cache: NotebookCache) -> None:
    model = fake("old", "other", "anew", "too much")
    model.invoke("q")
    model.invoke("another")
    key = nbcache.entries().key[1]
    done = ask(Board(), "renew", key=key)
    assert done == {"type": "done", "text": f"the next such call in this session is made anew: {key[:8]}"}
    assert "made anew" in dict(ask(Board(), "entry", key=key)["facts"])["Status"]
    assert [model.invoke(question).content for question in ("another", "q", "q")] == ["other", "anew", "anew"]
    assert dict(ask(Board(), "entry", key=key)["facts"])["Status"] == "ok"


def test_evict_says_what_it_freed_and_what_it_costs_again(cache: NotebookCache, server: Canned) -> None:
    paying(server).invoke("q")
    fake().invoke("unpriced")
    unpriced, priced = cache.contents().entries()
    done = ask(Board(), "evict", key=priced.key)
    assert done["text"] == f"evicted 1 entry, {bytes_text(priced.size_bytes)} freed; $0.006 to pay again"
    freed = f"evicted 1 entry, {bytes_text(unpriced.size_bytes)} freed"
    assert ask(Board(), "evict", key=unpriced.key)["text"] == f"{freed}; the cost of paying again is unknown"
    assert nbcache.stats().entries == 0


def test_evict_shown_takes_what_the_filter_means_and_keeps_what_others_own(tmp_path: Path) -> None:
    share_with_another_notebook(tmp_path)
    assert prompts(Board(), search="apple") == ["my apple", "shared apple"]
    page = ask(Board(), "page", search="apple")
    done = ask(Board(), "evict shown", search="apple", total=2, place=page["place"])
    assert done["text"].startswith("deleted 1 entry (")
    assert done["text"].endswith("; kept 1 that other notebooks own too; the cost of paying again is unknown")
    assert prompts(Board()) == ["my pear"]
    assert {row.prompt for row in installation.installed().contents("folder").entries()} == {
        "my pear",
        "shared apple",
        "their apple",
    }


def test_clear_takes_this_notebooks_own(tmp_path: Path) -> None:
    theirs = as_notebook(tmp_path / "store", tmp_path / "theirs.ipynb")
    fake().invoke("theirs")
    theirs.flush()
    as_notebook(tmp_path / "store", tmp_path / "mine.ipynb")
    for question in "ab":
        fake().invoke(question)
    place = Board().state()["place"]
    assert ask(Board(), "clear", place=place)["text"].startswith("deleted 2 entries (")
    assert prompts(Board()) == []
    assert nbcache.stats("folder").entries == 1


@pytest.mark.parametrize("action", ["evict shown", "clear"])
def test_what_was_confirmed_for_one_store_is_not_done_to_another(action: str, tmp_path: Path) -> None:
    as_notebook(tmp_path / "one", tmp_path / "mine.ipynb")
    fake().invoke("a")
    confirmed = {"place": Board().state()["place"], "total": 1}
    installation.reinstall(store=tmp_path / "other")
    fake().invoke("b")
    with pytest.raises(ValueError, match="another store"):
        ask(Board(), action, **confirmed)
    installation.reinstall(store=tmp_path / "one", scope="folder")
    with pytest.raises(ValueError, match="scope"):
        ask(Board(), action, **confirmed)
    installation.reinstall(scope="notebook")
    assert ask(Board(), action, **confirmed)["text"].startswith("deleted 1 entry")


def test_no_more_is_evicted_than_was_confirmed(cache: NotebookCache) -> None:
    fake().invoke("apple one")
    page = ask(Board(), "page", search="apple")
    fake().invoke("apple two")
    prompts(Board(), search="apple")
    with pytest.raises(ValueError, match="2 such entries by now, not 1"):
        ask(Board(), "evict shown", search="apple", total=page["total"], place=page["place"])
    assert cache.stats().entries == 2


def test_a_search_without_a_word_means_nothing_rather_than_everything(cache: NotebookCache) -> None:
    fake().invoke("a")
    with pytest.raises(ValueError, match="letters"):
        ask(Board(), "page", search=' "% ')
    assert prompts(Board(), search=" ") == ["a"]


def test_a_huge_prompt_is_cut_and_says_where_the_rest_is(cache: NotebookCache) -> None:
    fake().invoke("word " * 100_000)
    (row,) = ask(Board(), "page")["rows"]
    (part,) = ask(Board(), "entry", key=row["key"])["prompt"][0]["parts"]
    assert len(part["text"]) < 21_000
    assert part["text"].endswith(f"[480,000 more characters: %llmcache show {row['key'][:8]} prints all]")


@pytest.mark.parametrize("message", [None, 1, "x", []])
def test_what_is_no_request_is_refused_in_words(message: Any, cache: NotebookCache) -> None:
    with pytest.raises(ValueError, match="reload the page"):
        Board().ask(message)


def test_who_listens_hears_of_settings_deletions_and_of_off_and_on(tmp_path: Path) -> None:
    heard: list[int] = []
    stop = Board().listen(lambda: heard.append(1))  # before any cache is on

    def told(do: Callable[[], object]) -> bool:
        before = len(heard)
        do()
        return len(heard) > before

    assert told(lambda: nbcache.install(tmp_path / "store"))
    fake().invoke("a")
    fake().invoke("b")
    key = nbcache.entries().key[0]
    assert told(lambda: ask(Board(), "mode", mode="off"))
    assert told(lambda: installation.reinstall(max_entries=5))
    assert told(lambda: nbcache.evict(key))
    assert told(nbcache.clear)
    assert told(nbcache.uninstall)
    assert Board().state()["on"] is False
    assert told(lambda: nbcache.install(tmp_path / "store"))
    assert told(lambda: fake().invoke("c"))
    stop()
    assert not told(lambda: fake().invoke("d"))


@pytest.mark.parametrize("mode", ["off", "read-only", "refresh", "replay", "on"])
def test_the_mode_is_switched_and_nothing_else(mode: str, tmp_path: Path) -> None:
    cache = as_notebook(tmp_path / "store", tmp_path / "mine.ipynb", ttl="7d", tags=["draft"])
    assert ask(Board(), "mode", mode=mode)["text"] == f"the mode is {mode}"
    assert (cache.settings.mode, cache.settings.ttl, cache.settings.tags) == (mode, 604800, ("draft",))
    assert Board().state()["mode"] == mode


def test_money_of_many_calls_is_to_the_cent(cache: NotebookCache, server: Canned) -> None:
    installation.reinstall(prices={"m": {"input": "1234.567", "output": "0.001"}})  # 1,000 in, 500 out: $1.2345675
    model = paying(server)
    for _ in range(1001):
        model.invoke("q")
    assert nbcache.stats().saved_usd == 1000 * Decimal("1.2345675")
    assert (Board().state()["saved"], Board().state()["spent"]) == ("up to $1,234.57", "$1.23")
