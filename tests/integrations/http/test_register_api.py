"""An API that a user has registered: its calls are paid once, by the user's own rules, and nothing else is touched."""

import asyncio
import json
import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import httpx2
import pytest
import requests

import nbcache
from nbcache import NbcacheWarning, ReplayMiss
from nbcache.ui.panel.board import Board
from tests.servers.loopback import Handler, Loopback

ASKED: dict[str, Any] = {"model": "team-1", "question": "What is a monad?", "run": 1}
ANSWER: dict[str, Any] = {"answer": "A way to chain steps.", "state": "done", "tokens": {"in": 1000, "out": 100}}


class _Handler(Handler):
    def do_PUT(self) -> None:  # noqa: N802 - of the standard library
        self.respond()

    def do_GET(self) -> None:  # noqa: N802 - as above
        self.respond()

    def respond(self) -> None:
        self.body()
        server = self.server.owner
        server.count += 1
        self.send(server.status, server.kind, server.content)


class Team(Loopback):
    """A server that answers each request with `content`."""

    def __init__(self) -> None:
        self.count, self.status, self.kind = 0, 200, "application/json"
        self.content = json.dumps(ANSWER).encode()
        super().__init__(_Handler)

    def ask(self, path: str = "/v1/ask", **more: Any) -> Any:
        return httpx.post(self.url + path, json={**ASKED, **more})

    def events(self, *parts: dict[str, Any]) -> None:
        self.kind = "text/event-stream"
        self.content = b"".join(b"data: " + json.dumps(part).encode() + b"\n\n" for part in parts)


@pytest.fixture
def team() -> Iterator[Team]:
    with Team() as server:
        yield server
    nbcache.register_api("team", match=None)


def is_teams(method: str, host: str, path: str) -> bool:
    return (method, host, path) == ("POST", "127.0.0.1", "/v1/ask")


def used(response: Any) -> dict[str, Any]:
    return {"model": "team-1", "input_tokens": response["tokens"]["in"], "output_tokens": response["tokens"]["out"]}


@pytest.mark.usefixtures("store")
def test_a_call_is_paid_once_whatever_library_makes_it(team: Team) -> None:
    nbcache.register_api("team", match=is_teams)
    url = f"{team.url}/v1/ask"
    answers = [library.post(url, json=ASKED) for library in (httpx, httpx2, requests, httpx)]
    assert [answer.json() for answer in answers] == [ANSWER] * 4
    assert answers[-1].headers["x-nbcache"] == "hit"

    async def asynchronous() -> Any:
        async with httpx.AsyncClient() as client:
            return (await client.post(url, json=ASKED)).json()

    assert asyncio.run(asynchronous()) == ANSWER
    assert team.count == 1
    entry = nbcache.entries().iloc[0]
    assert (entry["prompt"], entry["answer"]) == ("What is a monad?", "A way to chain steps.")
    assert entry["model"] == "team-1"


@pytest.mark.usefixtures("store")
def test_a_request_without_a_known_prompt_is_shown_and_found_by_what_it_says(team: Team) -> None:
    nbcache.register_api("team", match=is_teams)
    url = f"{team.url}/v1/ask"
    httpx.post(url, json={"model": "team-1", "phrase": "Was ist eine Monade?", "api_key": "sk-secret", "limit": 3})
    (shown,) = nbcache.entries()["prompt"]
    assert '"phrase": "Was ist eine Monade?"' in shown
    assert "team-1" not in shown
    assert "sk-secret" not in shown
    record = nbcache.show(nbcache.entries()["key"][0])
    assert record.prompt == shown
    nbcache.installed().ledger.index()
    board = Board()
    assert board.ask({"type": "page", "search": "monade"})["total"] == 1
    assert "Monade" in str(board.ask({"type": "entry", "key": record.meta.key})["prompt"])
    assert nbcache.clear(match="eine monade", dry_run=True).deleted == 1


@pytest.mark.usefixtures("store")
def test_tokens_that_nobody_reports_are_estimated_of_a_request_without_a_known_prompt_too(team: Team) -> None:
    nbcache.register_api("team", match=is_teams)
    nbcache.install(prices={"team-1": {"input": 1, "output": 0}})
    for _ in range(2):
        httpx.post(f"{team.url}/v1/ask", json={"model": "team-1", "phrase": "What is a monad? " * 100})
    costs = nbcache.stats()
    assert costs.spent_usd is not None
    assert costs.spent_usd > Decimal("0.0001")
    assert costs.saved_usd == costs.spent_usd


@pytest.mark.usefixtures("store")
def test_without_registering_it_the_same_calls_are_not_touched(team: Team) -> None:
    team.ask()
    assert "x-nbcache" not in team.ask().headers
    assert (team.count, nbcache.stats().misses) == (2, 0)


@pytest.mark.usefixtures("store")
def test_the_whole_body_counts_unless_identity_says_what_does(team: Team) -> None:
    nbcache.register_api("team", match=is_teams)
    for more in (
        {},
        {"run": 2},
        {"run": 2.0},
        {"run": True},
        {"run": "2"},
        {"run": None},
        {"new": 1},
        {"question": ["a"]},
    ):
        team.ask(**more)
    assert team.count == 8
    nbcache.register_api("team", match=is_teams, identity=lambda request: [request["model"], request["question"]])
    for run in range(3):
        team.ask(run=run)
    team.ask(question="What is a functor?")
    assert team.count == 10


@pytest.mark.usefixtures("store")
def test_authentication_does_not_count_and_other_headers_hosts_and_queries_do(team: Team) -> None:
    nbcache.register_api("team", match=is_teams)
    url = f"{team.url}/v1/ask"
    for given in (
        {},
        {"headers": {"authorization": "a"}},
        {"headers": {"idempotency-key": "a"}},
        {"params": {"key": "a"}},
    ):
        httpx.post(url, json=ASKED, **given)  # type: ignore[arg-type]
    assert team.count == 1
    httpx.post(url, json=ASKED, headers={"x-region": "eu"})
    httpx.post(url, json=ASKED, params={"region": "eu"})
    httpx.post(url, json=ASKED, headers={"accept": "text/event-stream"})  # by which some servers stream
    assert team.count == 4


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("finished", "status", "hits"),
    [
        (None, "ok", 1),
        (lambda _: True, "ok", 1),
        (lambda response: response["state"] == "done", "ok", 1),
        (lambda _: "stop", "ok", 1),
        (lambda _: False, "unfinished", 0),
        (lambda _: None, "unfinished", 0),
        (lambda _: "length", "cut off", 0),
        (lambda _: "content_filter", "filtered", 0),
    ],
)
def test_finished_says_what_an_answer_is_good_for(team: Team, finished: Any, status: str, hits: int) -> None:
    nbcache.register_api("team", match=is_teams, finished=finished)
    team.ask()
    team.ask()
    assert (nbcache.stats().hits, team.count) == (hits, 2 - hits)
    assert nbcache.entries()["status"].tolist() == [status]


def test_usage_and_a_price_of_ones_own_say_what_a_call_cost(team: Team) -> None:
    nbcache.register_api("team", match=is_teams, usage=used)
    nbcache.install(prices={"team-1": {"input": 2, "output": 10}})
    team.ask()
    assert (nbcache.stats().spent_usd, nbcache.stats().estimated) == (Decimal("0.003"), 0)
    nbcache.register_api("team", match=is_teams, usage=lambda _: {"cost_usd": 0.25})
    nbcache.install()
    team.ask(run=2)
    assert nbcache.stats().spent_usd == Decimal("0.253")
    nbcache.register_api("team", match=is_teams)
    team.ask(run=3)
    assert nbcache.stats().unpriced_misses == 1


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("usage", "text"),
    [
        (lambda response: response["missing"], "KeyError"),
        (lambda _: {"tokens": 1}, "write model, input_tokens"),
        (lambda _: {"input_tokens": "many"}, "input_tokens='many': write a number of tokens"),
        (lambda _: 5, "AttributeError"),
    ],
)
def test_usage_that_fails_costs_the_price_and_no_answer(team: Team, usage: Any, text: str) -> None:
    nbcache.register_api("team", match=is_teams, usage=usage)
    with pytest.warns(NbcacheWarning, match=text):
        team.ask()
    assert team.ask().headers["x-nbcache"] == "hit"
    assert nbcache.stats().unpriced_misses == 1


@pytest.mark.usefixtures("store")
def test_a_stream_is_kept_when_finished_says_that_it_is_whole(team: Team) -> None:
    team.events({"part": "A way "}, {"part": "to chain.", "last": True})
    nbcache.register_api("team", match=is_teams)
    with pytest.warns(NbcacheWarning, match="nothing says whether it is whole. Register the API with `finished`"):
        team.ask(stream=True)
    nbcache.register_api("team", match=is_teams, finished=lambda parts: parts[-1].get("last"))
    live, hit = team.ask(stream=True), team.ask(stream=True)
    assert live.content == hit.content == team.content
    assert team.count == 2
    team.events({"part": "A way "})
    for _ in range(2):
        team.ask(stream=True, run=2)
    assert (team.count, nbcache.stats().hits) == (4, 1)


@pytest.mark.usefixtures("store")
def test_what_goes_wrong_is_not_kept(team: Team) -> None:
    nbcache.register_api("team", match=is_teams, finished=lambda response: response["state"])
    team.status = 500
    team.ask()
    team.status, team.content = 200, b'{"no": "state"}'
    with pytest.warns(NbcacheWarning, match="isn't understood: KeyError"):
        team.ask()
    team.content = b"<html>"
    with pytest.warns(NbcacheWarning, match="isn't understood: JSONDecodeError"):
        team.ask()
    assert (team.count, nbcache.stats().entries) == (3, 0)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "identity", [lambda _: None, lambda _: {}, lambda request: request["missing"], lambda _: object()]
)
def test_an_identity_that_says_nothing_is_a_pass_by_and_forbidden_in_replay(team: Team, identity: Any) -> None:
    nbcache.register_api("team", match=is_teams, identity=identity)
    with pytest.warns(NbcacheWarning, match="work out the key of a call"):
        team.ask()
    team.ask()
    assert (team.count, nbcache.stats().entries) == (2, 0)
    with nbcache.mode("replay"), pytest.raises(ReplayMiss):
        team.ask()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("identity", "what"),
    [
        (lambda request: request["missing"], r"`identity` raised KeyError\('missing'\)"),
        (lambda _: {}, r"`identity` returned \{\}"),
    ],
)
def test_a_call_whose_identity_fails_is_counted_and_the_warning_names_the_function(
    team: Team, identity: Any, what: str
) -> None:
    nbcache.register_api("team", match=is_teams, identity=identity, usage=used)
    with pytest.warns(NbcacheWarning, match=f"a call of team: {what}"):
        team.ask()
    assert nbcache.stats().misses == 1
    assert nbcache.last()["why"].tolist() == ["not cacheable"]
    nbcache.register_api("team", match=is_teams, identity=lambda request: request["missing too"])
    with pytest.warns(NbcacheWarning, match="missing too"):  # another function has a warning of its own
        team.ask()


@pytest.mark.usefixtures("store")
def test_each_function_for_usage_that_fails_is_warned_of(team: Team) -> None:
    nbcache.register_api("team", match=is_teams, usage=lambda _: {"token": 1})
    with pytest.warns(NbcacheWarning, match="usage returned 'token'; write model, input_tokens"):
        team.ask()
    nbcache.register_api("team", match=is_teams, usage=lambda _: {"cost": 1})
    with pytest.warns(NbcacheWarning, match="usage returned 'cost'; write model, input_tokens"):
        team.ask(run=2)


@pytest.mark.usefixtures("store")
def test_a_predicate_that_raises_is_a_pass_by_with_one_warning_and_forbidden_in_replay(team: Team) -> None:
    def match(method: str, host: str, path: str) -> bool:
        raise RuntimeError("no idea")

    nbcache.register_api("team", match=match)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            assert team.ask().json() == ANSWER
            assert httpx.get(team.url).json() == ANSWER
    assert len(caught) == 1
    assert "no idea" in str(caught[0].message)
    assert (team.count, nbcache.stats().entries) == (6, 0)
    with nbcache.mode("replay"), pytest.raises(ReplayMiss, match="no idea"):
        team.ask()


@pytest.mark.usefixtures("store")
def test_in_replay_nothing_is_sent_to_a_registered_api(team: Team) -> None:
    nbcache.register_api("team", match=is_teams)
    team.ask()
    with nbcache.mode("replay"):
        assert team.ask().json() == ANSWER
        with pytest.raises(ReplayMiss):
            team.ask(run=2)
        with pytest.raises(ReplayMiss, match="of a kind that isn't recorded"):
            httpx.post(f"{team.url}/v1/ask", content=b"no json")
        httpx.get(f"{team.url}/v1/ask")
        team.ask("/v1/elsewhere")
    assert team.count == 3


@pytest.mark.usefixtures("store")
def test_only_requests_for_which_the_predicate_is_true_are_touched(team: Team) -> None:
    places = []

    def match(method: str, host: str, path: str) -> bool:
        places.append((method, host, path))
        return method == "PUT"

    nbcache.register_api("team", match=match)
    for _ in range(2):
        team.ask("/V1/Ask?x=1#y")
        httpx.put(f"{team.url}/v1/ask", json=ASKED)
    assert team.count == 3
    assert {place[1:] for place in places} == {("127.0.0.1", "/V1/Ask"), ("127.0.0.1", "/v1/ask")}


def test_the_setting_clients_takes_its_name(team: Team, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="clients='team': write all, langchain"):
        nbcache.install(tmp_path, clients="team")
    nbcache.register_api("team", match=is_teams)
    nbcache.install(tmp_path, clients="openai")
    assert "x-nbcache" not in [team.ask(), team.ask()][1].headers
    nbcache.install(tmp_path, clients=["openai", "team"])
    assert [team.ask(), team.ask()][1].headers["x-nbcache"] == "hit"


@pytest.mark.usefixtures("store")
def test_the_same_name_replaces_and_none_removes(team: Team) -> None:
    for _ in range(2):
        nbcache.register_api("team", match=is_teams)
        team.ask()
    assert team.count == 1
    nbcache.register_api("team", match=lambda *place: place[2] == "/v2/ask")
    team.ask()
    assert team.count == 2
    nbcache.register_api("team", match=None)
    nbcache.register_api("team", match=None)
    team.ask("/v2/ask")
    assert nbcache.stats().misses == 1


@pytest.mark.parametrize(
    ("name", "given", "error", "text"),
    [
        ("", {"match": is_teams}, ValueError, "write a name of letters"),
        ("a b", {"match": is_teams}, ValueError, "write a name of letters"),
        (5, {"match": is_teams}, ValueError, "write a name of letters"),
        ("openai", {"match": is_teams}, ValueError, "nbcache has this name itself"),
        ("all", {"match": is_teams}, ValueError, "nbcache has this name itself"),
        ("team", {"match": "/v1/ask"}, TypeError, "match='/v1/ask': write a function of method, host and path"),
        ("team", {"match": lambda path: True}, TypeError, "a function of method, host and path: too many"),
        (
            "team",
            {"match": is_teams, "identity": "body"},
            TypeError,
            "identity='body': write a function of the parsed request",
        ),
        ("team", {"match": is_teams, "identity": lambda: 1}, TypeError, "a function of the parsed request"),
        ("team", {"match": is_teams, "usage": {"input_tokens": 1}}, TypeError, "a function of the parsed response"),
        ("team", {"match": is_teams, "finished": True}, TypeError, "a function of the parsed response"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_what_to_write(name: Any, given: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        nbcache.register_api(name, **given)
    with pytest.raises(ValueError, match="clients='team'"):
        nbcache.install(clients="team")
