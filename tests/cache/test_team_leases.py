"""One request for a team: of identical calls in several processes one is made, and no process waits for one that can't go on."""

import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.provider import Provider
from tests.servers.redis_server import RedisServer, program
from tests.support import team_members as calls
from tests.support.team_members import Member, Work, members

pytestmark = pytest.mark.slow
CROSSWISE = (("f", "g"), ("g", "f"))  # which function is called within which
KINDS = (
    *(calls.invoke, calls.ainvoke, calls.on_the_loops_thread, calls.batch, calls.abatch, calls.sdk, calls.asdk),
    *(calls.function, calls.afunction),
)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(program()) as running:
        yield running


@pytest.fixture
def url(server: RedisServer) -> str:
    return server.url(uuid.uuid4().hex)


def led(provider: Provider, leader: Member, followers: list[Member], work: Work = calls.invoke) -> None:
    """Let `leader` make a call, and the others wait for it."""
    leader.begin(work, provider.openai, "q")
    provider.wait_for(1)
    for member in followers:
        member.begin(work, provider.openai, "q")
    for member in followers:
        member.wait_until_waiting()


@pytest.mark.parametrize("work", KINDS, ids=lambda work: work.__name__)
def test_the_same_call_in_several_processes_is_one_request(provider: Provider, url: str, work: Work) -> None:
    with members(3, url) as team:
        with provider.hold():
            led(provider, *_leader_and_followers(team), work)
        outcomes = [member.outcome() for member in team]
    assert len({tuple(outcome.answers) for outcome in outcomes}) == 1
    assert len(provider.requests) == 1
    inner = int("function" in work.__name__)
    assert [(outcome.hits, outcome.misses) for outcome in outcomes] == [(0, 1 + inner), (1, 0), (1, 0)]
    assert not any(outcome.warned or outcome.error for outcome in outcomes)


@pytest.mark.parametrize("work", [calls.batch, calls.abatch], ids=lambda work: work.__name__)
def test_two_batches_of_the_same_prompts_make_a_request_for_each(provider: Provider, url: str, work: Work) -> None:
    texts = [f"q{number % 16}" for number in range(32)]
    with members(2, url) as team:
        for member in team:
            member.begin(work, provider.openai, *texts)
        outcomes = [member.outcome() for member in team]
    assert outcomes[0].answers == outcomes[1].answers
    assert len(provider.requests) == 16
    assert sum(outcome.misses for outcome in outcomes) == 16


def test_a_follower_counts_a_hit_and_a_later_call_one_too(provider: Provider, url: str) -> None:
    with members(2, url) as team:
        with provider.hold():
            led(provider, *_leader_and_followers(team))
        answers = [member.outcome().answers for member in team]
        later = team[1].begin(calls.invoke, provider.openai, "q").outcome()
    assert answers == [later.answers] * 2
    assert (later.hits, later.misses) == (1, 0)


def test_a_dead_leaders_followers_go_on_and_one_of_them_makes_the_call(provider: Provider, url: str) -> None:
    with members(3, url, lease=None) as team:
        with provider.hold():
            led(provider, *_leader_and_followers(team))
            team[0].process.kill()
            provider.wait_for(2)
        outcomes = [member.outcome() for member in team[1:]]
    assert outcomes[0].answers == outcomes[1].answers
    assert sorted(outcome.hits for outcome in outcomes) == [0, 1]
    assert len(provider.requests) == 2


def test_a_frozen_leader_is_replaced_and_its_late_answer_replaces_none(provider: Provider, url: str) -> None:
    provider.answer("of the frozen", "of the next")
    with members(3, url, lease=None) as team:
        frozen, following, later = team
        with provider.hold():
            led(provider, frozen, [following])
            frozen.signal(signal.SIGSTOP)
            provider.wait_for(2)
        assert following.outcome().answers == ["of the next"]
        frozen.signal(signal.SIGCONT)
        own = frozen.outcome()
        assert (own.answers, own.error, own.warned) == (["of the frozen"], "", [])
        for member in (later, frozen):
            assert member.begin(calls.invoke, provider.openai, "q").outcome().answers == ["of the next"]
    assert len(provider.requests) == 2


def test_a_slow_leader_is_not_doubled(provider: Provider, url: str) -> None:
    with members(2, url, lease=6.0) as team:
        with provider.hold():
            led(provider, *_leader_and_followers(team))
            for _ in range(8):  # the lease would have ended without them
                assert team[0].renewals.acquire(timeout=30)
            assert len(provider.requests) == 1
        assert [member.outcome().hits for member in team] == [0, 1]
    assert len(provider.requests) == 1


def test_a_failed_calls_followers_make_it_and_share_that(provider: Provider, url: str) -> None:
    provider.fail(500)
    with members(3, url) as team:
        with provider.hold():
            led(provider, *_leader_and_followers(team))
        assert "500" in team[0].outcome().error
        outcomes = [member.outcome() for member in team[1:]]
    assert outcomes[0].answers == outcomes[1].answers
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    ("work", "number", "ends"),
    [(calls.invoke, signal.SIGINT, "KeyboardInterrupt"), (calls.cancelled, signal.SIGUSR1, "cancelled")],
    ids=["interrupted", "cancelled"],
)
def test_a_call_that_is_stopped_lets_the_next_one_go_on(
    provider: Provider, url: str, work: Work, number: signal.Signals, ends: str
) -> None:
    with members(3, url) as team:
        with provider.hold():
            leader, followers = _leader_and_followers(team)
            leader.begin(work, provider.openai, "q")
            provider.wait_for(1)
            for member in followers:
                member.begin(calls.invoke, provider.openai, "q").wait_until_waiting()
            leader.signal(number)
            stopped = leader.outcome()
            assert ends in (stopped.error or stopped.answers[0])
            provider.wait_for(2)
        outcomes = [member.outcome() for member in followers]
    assert sorted(outcome.hits for outcome in outcomes) == [0, 1]
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    ("work", "number"),
    [(calls.invoke, signal.SIGINT), (calls.cancelled, signal.SIGUSR1)],
    ids=["interrupted", "cancelled"],
)
def test_a_call_that_waits_can_be_stopped_and_leaves_nothing(
    provider: Provider, url: str, work: Work, number: signal.Signals
) -> None:
    with members(2, url) as team:
        with provider.hold():
            leader, (follower,) = _leader_and_followers(team)
            leader.begin(calls.invoke, provider.openai, "q")
            provider.wait_for(1)
            follower.begin(work, provider.openai, "q").wait_until_waiting().signal(number)
            follower.outcome()
            follower.begin(calls.invoke, provider.openai, "q").wait_until_waiting()  # not for the call that was stopped
        assert leader.outcome().answers == follower.outcome().answers
    assert len(provider.requests) == 1


def test_a_waiting_call_holds_up_no_event_loop(provider: Provider, url: str) -> None:
    with members(2, url) as team:
        with provider.hold():
            leader, (follower,) = _leader_and_followers(team)
            leader.begin(calls.invoke, provider.openai, "q")
            provider.wait_for(1)
            follower.begin(calls.beside_a_heartbeat, provider.openai, "q").wait_until_waiting()
        answer, turns, held_up = follower.outcome().answers
        assert [answer] == leader.outcome().answers
    assert turns > 1
    assert held_up == []
    assert len(provider.requests) == 1


def test_the_models_timeout_ends_the_waiting(provider: Provider, url: str) -> None:
    with members(2, url) as team:
        with provider.hold():
            leader, (follower,) = _leader_and_followers(team)
            leader.begin(calls.invoke, provider.openai, "q")
            provider.wait_for(1)
            follower.begin(calls.with_timeout, provider.openai, "q", 5.0)
            provider.wait_for(2)
        assert follower.outcome().misses == leader.outcome().misses == 1


def test_calls_that_wait_go_on_when_the_server_is_killed(provider: Provider) -> None:
    with RedisServer(program()) as own, members(3, own.url()) as team:
        with provider.hold():
            led(provider, *_leader_and_followers(team))
            own.stop()
            provider.wait_for(3)
        outcomes = [member.outcome() for member in team]
        assert all(len(outcome.answers) == 1 and not outcome.error for outcome in outcomes)
        assert all(len(outcome.warned) == 1 for outcome in outcomes)
        own.start()


def test_an_answer_that_is_not_kept_is_not_waited_for_one_after_the_other(url: str) -> None:
    with members(3, url) as team:
        leader, followers = _leader_and_followers(team)
        leader.begin(calls.unkept, "q").inside()
        for member in followers:
            member.begin(calls.unkept, "q").wait_until_waiting()
        leader.open()
        assert leader.outcome().answers == ["object"]
        for member in followers:
            member.inside()  # both run at a time
        for member in followers:
            member.open()
        assert [member.outcome().misses for member in followers] == [1, 1]


@pytest.mark.parametrize("work", [calls.refresh, calls.read_only, calls.stream], ids=lambda work: work.__name__)
def test_some_calls_wait_for_no_other_process(provider: Provider, url: str, work: Work) -> None:
    with members(2, url) as team:
        with provider.hold():
            for number, (member, what) in enumerate(zip(team, (calls.invoke, work), strict=True), 1):
                member.begin(what, provider.openai, "q")
                provider.wait_for(number)
        assert all(len(member.outcome().answers) == 1 for member in team)


def test_a_refreshed_answer_is_not_replaced_by_that_of_a_call_that_began_before(url: str) -> None:
    with members(2, url) as (leader, other):
        leader.begin(calls.through_the_gate, "q", "early").inside()
        other.open()
        assert other.begin(calls.refreshed, "q", "newest").outcome().answers == ["newest"]
        leader.open()
        assert leader.outcome().answers == ["early"]
        for member in (leader, other):
            assert member.begin(calls.through_the_gate, "q", "none").outcome().answers == ["newest"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_functions_that_call_each_other_crosswise_in_two_processes_come_to_an_end(url: str, is_async: bool) -> None:
    with members(2, url) as team:
        for member, (first, second) in zip(team, CROSSWISE, strict=True):
            member.begin(calls.crosswise, first, second, is_async)
        for member in team:
            member.inside()
        for member in team:
            member.open()
        _assert_ended(team)


def test_calls_beside_those_of_a_function_join_no_circle_of_two_processes(url: str) -> None:
    """f calls h here and h calls f there, while a thread here waits for h there, and a thread there for f here."""
    with members(2, url) as team:
        for member, (first, second) in zip(team, CROSSWISE, strict=True):
            member.begin(calls.crosswise_beside_threads, first, second)
        for member in team:
            member.inside()
        for member in team:
            member.open()
        for member in team:
            member.inside().wait_until_waiting()
        for member in team:
            member.open()
        _assert_ended(team)


def test_a_sync_call_that_holds_up_calls_of_its_event_loop_joins_no_circle(provider: Provider, url: str) -> None:
    with members(2, url) as team:
        with provider.hold():
            for member, texts in zip(team, CROSSWISE, strict=True):
                member.begin(calls.beside_a_task, provider.openai, *texts).inside()
            provider.wait_for(2)
            for member in team:
                member.open()
            provider.wait_for(4)
        assert all(len(member.outcome().answers) == 2 for member in team)


def test_a_function_that_waits_for_a_thread_of_its_own_joins_no_circle(url: str) -> None:
    with members(2, url) as team:
        for member, (first, second) in zip(team, CROSSWISE, strict=True):
            member.begin(calls.crosswise_in_a_pool, first, second)
        for member in team:
            member.inside()
        for member in team:
            member.open()
        _assert_ended(team)


@pytest.mark.parametrize("work", [calls.invoke, calls.ainvoke, calls.function], ids=lambda work: work.__name__)
def test_with_stores_of_their_own_in_front_processes_make_one_request_too(
    provider: Provider, url: str, tmp_path: Path, work: Work
) -> None:
    with members(3, url, local=tmp_path) as team:
        with provider.hold():
            led(provider, *_leader_and_followers(team), work)
        answers = [member.outcome().answers for member in team]
        assert all(each == answers[0] for each in answers)
        assert len(provider.requests) == 1
        for member in team:
            later = member.begin(work, provider.openai, "q").outcome()
            assert (later.answers, later.hits, later.misses, later.warned) == (answers[0], 1, 0, [])


def test_with_a_store_of_its_own_in_front_a_dead_leader_is_replaced_too(
    provider: Provider, url: str, tmp_path: Path
) -> None:
    with members(3, url, lease=None, local=tmp_path) as team:
        with provider.hold():
            led(provider, *_leader_and_followers(team))
            team[0].process.kill()
            provider.wait_for(2)
        outcomes = [member.outcome() for member in team[1:]]
    assert outcomes[0].answers == outcomes[1].answers
    assert len(provider.requests) == 2


def test_with_a_store_of_its_own_in_front_calls_go_on_when_the_server_is_killed(
    provider: Provider, tmp_path: Path
) -> None:
    with RedisServer(program()) as own, members(2, own.url(), local=tmp_path) as team:
        with provider.hold():
            led(provider, *_leader_and_followers(team))
            own.stop()
            provider.wait_for(2)
        outcomes = [member.outcome() for member in team]
        assert all(len(outcome.answers) == 1 and not outcome.error for outcome in outcomes)
        assert all(len(outcome.warned) <= 1 for outcome in outcomes)
        own.start()


def _assert_ended(team: list[Member]) -> None:
    """Both functions have ended. The inner call may have got the other process's answer, if that was there in time."""
    for member, (first, second) in zip(team, CROSSWISE, strict=True):
        (answer,) = member.outcome().answers
        assert answer in {f"{first} and {second}", f"{first} and {second} and {first}"}


def _leader_and_followers(team: list[Member]) -> tuple[Member, list[Member]]:
    return team[0], team[1:]
