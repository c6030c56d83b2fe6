"""One endpoint of an API of models: which requests are its calls, and how its requests and responses are read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from langchain_core.outputs import Generation

from nbcache.integrations.http.apis.framing import EVENTS, NEVER, Body, End, Framing

Join = Callable[[list[Body]], Body]


def has(*names: str) -> Callable[[Body], bool]:
    """Whether a body has all of these fields."""
    return lambda body: all(name in body for name in names)


def asks_for_stream(body: Body, _: re.Match[str]) -> bool:
    """Whether a request says in its body that its answer is to be streamed."""
    return bool(body.get("stream"))


def streams_by(verb: str) -> Callable[[Body, re.Match[str]], bool]:
    """Whether a request asks for a stream, by the verb at the end of its path or in its body."""
    return lambda body, path: path[0].endswith(verb) or bool(body.get("stream"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint.

    Attributes:
        api: the name of the API, as the setting `clients` takes it.
        name: what an identity calls the endpoint: most often the end of its path.
        path: finds the end of the path of a URL. What is before it is where the API is. Its group `model` is the model's
            name, of an API that names it there. `last_words` are those after the last slash or colon of such a path.
        hosts: where the path is one of a model's API, and its last word may be any. Empty if it is one everywhere.
        fits: whether a body is a call's: other APIs may have such a path, too.
        prompt: the field of the body that is the prompt; `system` the one for instructions, if it has one.
        read: makes generations from the body of a whole answer.
        is_stream: whether a request asks for a stream, by its body and its path.
        join: makes the body of a whole answer from the parts of a stream. None if the endpoint streams nothing.
        with_headers: adds to the body of an answer what its headers say, for `read`.
        framing: how the parts of a stream are told apart, if the response doesn't say it by its content type. `end` is the
            part with which it is complete.
        identity: what counts of a body, of an API that a user has registered. All of it counts without it.
        reads_accept: whether the header `accept` may change an answer.
        is_binary: whether an answer may be an image or sound. Then `read` gets its content type and size.
    """

    api: str
    name: str
    fits: Callable[[Body], bool]
    prompt: str
    read: Callable[[Body], list[Generation] | None]
    system: str = ""
    path: re.Pattern[str] = field(default=re.compile(""))
    last_words: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()
    is_stream: Callable[[Body, re.Match[str]], bool] = asks_for_stream
    join: Join | None = None
    with_headers: Callable[[Body, Mapping[str, str]], Body] | None = None
    framing: Framing = EVENTS
    end: End = NEVER
    is_binary: bool = False
    reads_accept: bool = False
    identity: Callable[[Body], Body] | None = None

    def __post_init__(self) -> None:
        if not self.path.pattern:
            object.__setattr__(self, "path", re.compile(re.escape(self.name) + "$"))
        if not self.last_words and not self.hosts:
            object.__setattr__(self, "last_words", (re.split("[/:]", self.name)[-1],))
