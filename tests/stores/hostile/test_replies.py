"""A server that is none: its replies have no end, come drop by drop, or are no replies. Calls run, and lose little time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

import nbcache
from tests.faults.test_faults import Echo, ask, heard

Reply = Callable[[socket.socket], object]


def drops(begin: bytes) -> Reply:
    def reply(to: socket.socket) -> None:
        to.sendall(begin)
        while True:
            time.sleep(0.05)
            to.sendall(b"x")

    return reply


def sends(data: bytes) -> Reply:
    return lambda to: to.sendall(data)


def without_end(to: socket.socket) -> None:
    to.sendall(b"$9999999999999\r\n")
    while True:
        to.sendall(bytes(1_000_000))


REPLIES: dict[str, Reply] = {
    "drop by drop": drops(b"*2\r\n$1000\r\n"),
    "a line without an end, drop by drop": drops(b"+"),
    "without end": without_end,
    "a list of a billion": sends(b"*1000000000\r\n" + b"$-1\r\n" * 1000),
    "a list in a list in a list": sends(b"*1\r\n" * 100_000),
    "a length below zero": sends(b"*2\r\n$-5\r\n$-1\r\n"),
    "a length that is no number": sends(b"*x\r\n"),
    "no reply": sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "one number": sends(b":5\r\n"),
    "one text": sends(b"$7\r\nplanted\r\n"),
    "numbers": sends(b"*2\r\n:1\r\n:2\r\n"),
    "three values": sends(b"*3\r\n$-1\r\n$-1\r\n$-1\r\n"),
    "an error with control characters": sends(b"-ERR \x1b[2J\r\n"),
}


@contextmanager
def serving(reply: Reply) -> Iterator[int]:
    """A server on loopback that replies so to whatever it is asked. The port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(to: socket.socket) -> None:
            with to, suppress(OSError):
                while to.recv(65_536):
                    reply(to)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_a_call_runs_whatever_a_server_replies(reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbcache.stores.redis.connections._LARGEST", 50_000_000)
    with serving(reply) as port, heard() as said:
        nbcache.install(f"redis://127.0.0.1:{port}")
        begun = time.monotonic()
        ask(model := Echo(), "one", "one")
        nbcache.uninstall()
        assert time.monotonic() - begun < 30  # and not as long as the replies
    assert model.calls == 2
    assert 1 <= len(said) <= 2, said
    assert not any("\x1b" in text for text in said)
