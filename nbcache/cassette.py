"""A cassette: recorded answers as a file of JSON lines, one readable entry a line, to be kept in git with a notebook.

A cassette is untrusted: nothing in it is executed or imported, keys and statuses are worked out anew, and a file
with a line that is wrong is refused whole.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from nbcache import codec
from nbcache.checks import checked_answer, dicts, is_flat
from nbcache.codec import Payload
from nbcache.earlier_keys import call_now
from nbcache.entry import EntryMeta, Usage
from nbcache.errors import CassetteError
from nbcache.keys import SENT, VERSION_1, CallKey, key_of, prompt_sent, replay_key, restored, scrubbed
from nbcache.policy import UNFINISHED, reusable, status_of
from nbcache.progress import Progress, followed
from nbcache.prompts import VERBATIM, written_json
from nbcache.records import about_of, row_of
from nbcache.scrub import Scrubber
from nbcache.text import parsed_strictly
from nbcache.untrusted import lines_of

_T = TypeVar("_T")
FORMAT_VERSION = 2
FIRST = b'{"nbcache":'  # bytes of a cassette
_MESSAGE = re.compile(r"[A-Z][A-Za-z]*Message(Chunk)?")
_LC = ["langchain", "schema", "messages"]  # where LangChain's own messages say they come from
# What a reader of a file doesn't see, or sees in another order: written as JSON's escapes.
_UNSEEN = re.compile("[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_CONFLICT = ("<<<<<<< ", "=======", ">>>>>>> ", "||||||| ")  # how such lines begin
_PRICE = re.compile(r"\d{1,6}(\.\d{1,30})?")
_DAY = AHEAD = 86_400.0  # seconds: that an answer may have taken, and by which another machine's clock may be ahead
_MOST_DRAWS = 1_000_000
_SHOWN = 400  # characters of what is wrong
_DEEPEST = 200  # levels of lists and objects: what looks at them calls itself for each
_USAGE = {each.name: each.default for each in fields(Usage)}
USAGE_TEXTS = {"provider", "model", "service_tier", "speed", "charged", "mixed"}
_USAGE_FLAGS = {"estimated", "local"}
_KNOWN = {
    *("nbcache", "key", "model", "messages", "verbatim", "prompt", "counts", "sent", "answer", "chunks", "status"),
    *("parameters", "endpoint", "draw", "tokens", "price", "recorded", "seconds", "tags"),
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One line: the call, its answer in the codec's plain form, and the row of the entry that it is."""

    call: CallKey
    answer: list[dict[str, Any]]
    chunks: list[Any]
    usage: Usage | None
    meta: EntryMeta

    def line(self) -> str:
        """It as it is written, without the line's end. The same recording is always the same line."""
        meta = self.meta
        told: dict[str, Any] = {"nbcache": FORMAT_VERSION, "key": self.call.key, "model": self.call.model}
        told |= _written_prompt(self.call) | {"answer": self.answer}
        told |= {"chunks": self.chunks} if self.chunks else {}
        told |= {"status": meta.status, **_written_parameters(self.call), "endpoint": self.call.endpoint}
        tokens = _written_usage(self.usage) if self.usage else {}
        told |= {"tokens": tokens} if tokens else {}
        told |= {} if meta.cost_usd is None else {"price": f"{meta.cost_usd:f}"}
        told |= {"recorded": datetime.fromtimestamp(meta.created, UTC).isoformat().replace("+00:00", "Z")}
        told |= {} if meta.seconds is None or meta.seconds > _DAY else {"seconds": round(meta.seconds, 3)}
        told |= {"tags": list(meta.tags)} if meta.tags else {}
        return _seen(_as_line(told))

    def entry(self, notebook: str | None = None) -> tuple[bytes, EntryMeta]:
        """The payload and the row of the entry that it is, as this notebook's."""
        meta = self.meta if notebook is None else replace(self.meta, notebooks=(notebook,))
        told = meta if meta.cost_usd is None else replace(meta, cost_usd=None, charged=False)  # the row's alone
        again = reusable(meta.status, limits_tokens=self.call.limits_tokens)
        about = about_of(self.call, told, self.usage)
        return codec.assemble(self.answer, about, reusable=again, chunks=self.chunks), meta

    def same_answer(self, payload: Payload) -> bool:
        """Whether an entry has this very answer. Raises DamagedError."""
        return self.answer == payload.plain() and self.chunks == payload.packed_chunks()


@dataclass
class Cassette:
    """The recordings of a file, found by call. `used` are the keys of those that were asked for."""

    path: Path
    scrubber: Scrubber
    recordings: dict[str, Recording]
    used: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, path: Path, scrubber: Scrubber) -> "Cassette":
        """Read `path`. Raises CassetteError, naming the line, or OSError."""
        return cls(path, scrubber, {recording.call.key: recording for recording in read(path)})

    def find(self, asked: CallKey) -> tuple[str, bytes] | None:
        """The key and the payload of the recording of this call, or of the only one that `nearest_of` takes for it.

        Raises CassetteError where there are several.
        """
        found = self.recordings.get(asked.key)
        if found is None:
            others = self._by_replay_key.get(replay_key(asked, self.scrubber), [])
            found = nearest_of([(other.call, other) for other in others], asked, self.scrubber)
        if found is None:
            return None
        self.used.add(found.call.key)
        return found.call.key, found.entry()[0]

    @cached_property
    def _by_replay_key(self) -> dict[str, list[Recording]]:
        """Them by what counts in replay, which takes its time: a call that is just as recorded needs none of it."""
        found: dict[str, list[Recording]] = {}
        for recording in self.recordings.values():
            found.setdefault(replay_key(recording.call, self.scrubber), []).append(recording)
        return found


def nearest_of(recorded: Sequence[tuple[CallKey, _T]], asked: CallKey, scrubber: Scrubber) -> _T | None:
    """Of calls with the same `replay_key` as `asked` the only one at its endpoint, else the only one at another.

    Raises CassetteError where there are several: whose answer is meant, nobody knows.
    """
    if not recorded:
        return None
    wanted = scrubbed(asked, scrubber)[0].key
    here = [it for call, it in recorded if scrubbed(call, scrubber)[0].key == wanted]
    if len(here) > 1:
        raise CassetteError("it was recorded several times, with something else in the place of a secret")
    if not here and len(recorded) > 1:
        endpoints = ", ".join(sorted({call.endpoint for call, _ in recorded}))
        raise CassetteError(f"it was recorded at several endpoints ({endpoints}), and is asked of another")
    return here[0] if here else recorded[0][1]


def read(path: Path, progress: Progress | None = None) -> list[Recording]:
    """The recordings of a file, in its order. Raises CassetteError, naming the line, or OSError."""
    found: dict[str, int] = {}
    recordings: dict[str, Recording] = {}
    at = 0
    for number, written in enumerate(followed(lines_of(path), progress), 1):  # JSON has no other line's end
        line = _decoded(written, path, at)
        at += len(written)
        if not line.strip():
            continue
        if line.startswith(_CONFLICT):
            raise CassetteError(f"{path}, line {number} is of a conflict that git left: keep one of both, line by line")
        try:
            told = _parsed(line, parsed_strictly)
            recording = _recording(told)
        except CassetteError as error:
            raise CassetteError(f"{path}, line {number}: {_cut(str(error))}") from None
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, ArithmeticError) as error:
            raise CassetteError(f"{path}, line {number} is no recording: {_cut(_reason(error))}") from None
        key = recording.call.key
        if key in found and told["nbcache"] == FORMAT_VERSION:  # of an earlier version the later line counts
            raise CassetteError(f"{path}, line {number} records the same call as line {found[key]}")
        found[key] = number
        recordings[key] = recording
    if not recordings:
        raise CassetteError(f"{path} is empty")
    return [*recordings.values()]


def _decoded(line: bytes, path: Path, at: int) -> str:
    try:
        return line.decode("utf-8" if at else "utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {at + error.start}"
        raise CassetteError(f"{path} is no cassette: it is no UTF-8 text ({where})") from None


def _cut(text: str) -> str:
    """What is wrong with a line may quote all of it."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


# A line, read


def _parsed(text: str, read: Callable[[str], Any] = json.loads) -> Any:
    """What a text says in JSON. Raises ValueError; RecursionError where it is nested too deeply."""
    told = read(text)
    if _may_be_deep(text) and not is_flat(told, _DEEPEST):
        raise RecursionError
    return told


def _may_be_deep(text: str) -> bool:
    """Whether a text has the signs for it: most haven't, and need not be read for that."""
    return text.count("[") + text.count("{") > _DEEPEST


def _recording(told: Any) -> Recording:
    _check_version(told)
    call = _call(told)
    key = key_of(call, VERSION_1) if told["nbcache"] == 1 else call.key
    if told.get("key", key) != key:
        raise CassetteError(
            f"its key is {told['key']!r}, but its prompt and parameters have {key!r}: they were edited, or the key "
            "was. Take the key out to have it worked out anew"
        )
    if told["nbcache"] == 1:
        call = call_now(call) or call
    call.identity.decode()  # whatever is wrong with it is found now
    usage = _usage(told["tokens"]) if "tokens" in told else None
    answer, chunks = dicts(told["answer"], "answer"), told.get("chunks") or []
    generations = checked_answer(answer, chunks)
    meta = row_of(
        *(call, generations, usage or Usage()),
        status=status_of(generations, ended=told.get("status") != UNFINISHED),  # how it came, it doesn't tell itself
        created=_when(told["recorded"]),
        seconds=_number(told.get("seconds"), "seconds"),
        tags=_texts(told.get("tags", []), "tags"),
        notebook=None,
        cost_usd=_price(told.get("price")),
    )
    return Recording(call, answer, chunks, usage, meta)


def _check_version(told: Any) -> None:
    if not isinstance(told, dict) or "nbcache" not in told:
        raise CassetteError("it is no recording of nbcache")
    version = told["nbcache"]
    if type(version) is not int or version < 1:
        raise CassetteError(f"its format is {version!r}")
    if version > FORMAT_VERSION:
        raise CassetteError(f"it was written by a newer nbcache (format {version!r}; this one reads {FORMAT_VERSION})")
    if unknown := told.keys() - _KNOWN:
        raise CassetteError(f"it has a field that is none: {min(unknown)!r}")


def _call(told: Mapping[str, Any]) -> CallKey:
    prompt, said = _prompt(told)
    model, endpoint, parameters = told["model"], told["endpoint"], told["parameters"]
    if not isinstance(model, str) or not isinstance(endpoint, str):
        raise CassetteError("its model and endpoint are texts")
    identity = parameters if isinstance(parameters, str) else written_json(parameters).decode()
    for text in {prompt, said.removeprefix(VERBATIM).decode(errors="surrogatepass"), identity}:
        if _may_be_deep(text):
            with contextlib.suppress(ValueError):  # no JSON, and so not deep
                _parsed(text)
    if (draw := told.get("draw")) is not None:
        if type(draw) is not int or not 1 <= draw < _MOST_DRAWS:
            raise CassetteError(f"its draw is {str(draw)[:40]!r}")
        identity = identity[:-1] + f',"draw":{draw}}}'
        json.loads(identity)  # it is none where there was nothing before the draw
    by_rule = "counts" in told or "sent" in told
    return restored(said, prompt, identity=identity, endpoint=endpoint, model=model, by_rule=by_rule)


def _prompt(told: Mapping[str, Any]) -> tuple[str, bytes]:
    """The prompt as it is shown, and what counts of it."""
    if "sent" in told:
        if told.keys() & {"messages", "prompt", "counts"}:
            raise CassetteError("it has a prompt besides what is sent, which would be two")
        sent = told["sent"]
        said = SENT + (sent.encode(errors="surrogatepass") if isinstance(sent, str) else written_json(sent))
        return prompt_sent(said), said
    if "messages" in told:
        if "prompt" in told:
            raise CassetteError("it has messages and a prompt, which would be two")
        messages = dicts(told["messages"], "messages")
        if told.get("verbatim"):
            prompt = json.dumps(messages, ensure_ascii=False)
            said = VERBATIM + prompt.encode(errors="surrogatepass")
        else:
            said = written_json([_expanded(message) for message in messages])
            prompt = said.decode(errors="surrogatepass")
    else:
        prompt = told["prompt"]
        if not isinstance(prompt, str):
            raise CassetteError("its prompt is a text")
        said = (b"" if told.get("verbatim") is False else VERBATIM) + prompt.encode(errors="surrogatepass")
    counts = told.get("counts")
    return prompt, said if counts is None else counts.encode(errors="surrogatepass")


def _expanded(message: dict[str, Any]) -> dict[str, Any]:
    if len(message) == 1:
        ((name, kwargs),) = message.items()
        if _MESSAGE.fullmatch(name):
            return {"lc": 1, "type": "constructor", "id": [*_LC, name], "kwargs": kwargs}
    return message


def _usage(told: Any) -> Usage:
    if not isinstance(told, dict) or told.keys() - _USAGE.keys():
        raise CassetteError("its tokens aren't what nbcache writes")
    for name, value in told.items():
        if name == "charged":
            is_right = isinstance(value, str) and _PRICE.fullmatch(value) is not None
        elif name in USAGE_TEXTS:
            is_right = isinstance(value, str)
        elif name in _USAGE_FLAGS:
            is_right = isinstance(value, bool)
        else:
            is_right = type(value) is int and 0 <= value < 2**53
        if not is_right:
            raise CassetteError(f"its tokens say {name}: {value!r}")
    return Usage(**told)


def _when(told: Any) -> float:
    if not isinstance(told, str):
        raise CassetteError("it says no time at which it was recorded")
    when = datetime.fromisoformat(told).timestamp()
    if not 0 <= when <= time.time() + AHEAD:
        raise CassetteError(f"it says that it was recorded at {told}")
    return when


def _price(told: Any) -> Decimal | None:
    if told is not None and not (isinstance(told, str) and _PRICE.fullmatch(told)):
        raise CassetteError(f"its price is {told!r}")
    return None if told is None else Decimal(told)


def _number(told: Any, name: str) -> float | None:
    if told is not None and (isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= _DAY):
        raise CassetteError(f"its {name} are {told!r}")
    return None if told is None else float(told)


def _texts(told: Any, name: str) -> tuple[str, ...]:
    if not isinstance(told, list) or not all(isinstance(text, str) and text and "\x1f" not in text for text in told):
        raise CassetteError(f"its {name} are no texts")
    return tuple(told)


# A line, written


def _written_prompt(call: CallKey) -> dict[str, Any]:
    """The prompt in the most readable way that gives it back exactly."""
    if call.said.startswith(SENT):
        return {"sent": _readable(call.said.removeprefix(SENT).decode(errors="surrogatepass"))}
    is_text = call.by_rule or call.said.startswith(VERBATIM)
    said = VERBATIM + call.prompt.encode(errors="surrogatepass") if call.by_rule else call.said
    prompt = said.removeprefix(VERBATIM if is_text else b"").decode(errors="surrogatepass")
    written: dict[str, Any] = {"messages": _messages(prompt, verbatim=is_text)}
    written |= {"verbatim": True} if is_text else {}
    if written["messages"] is None or _prompt(written) != (prompt, said):
        written = {"prompt": prompt, **({} if is_text else {"verbatim": False})}
    return written | ({"counts": call.said.decode(errors="surrogatepass")} if call.by_rule else {})


def _messages(prompt: str, *, verbatim: bool) -> list[dict[str, Any]] | None:
    """The messages that a prompt holds; None where it doesn't."""
    try:
        told = json.loads(prompt) if prompt.startswith("[{") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, list) or not all(isinstance(message, dict) for message in told):
        return None
    return told if verbatim else [_shortened(message) for message in told]


def _shortened(message: dict[str, Any]) -> dict[str, Any]:
    short = {message["id"][-1]: message["kwargs"]} if isinstance(message.get("id"), list) and message["id"] else message
    return short if _expanded(short) == message else message


def _written_parameters(call: CallKey) -> dict[str, Any]:
    identity = call.identity.decode()
    draw = {}
    if call.draw:
        identity, draw = identity[: identity.rindex(',"draw":')] + "}", {"draw": call.draw}
    return {"parameters": _readable(identity), **draw}


@lru_cache(maxsize=256)
def _readable(identity: str) -> Any:
    """Canonical JSON, an identity that most calls of a notebook share, as JSON where that gives it back exactly."""
    parameters = json.loads(identity)
    return parameters if written_json(parameters).decode() == identity else identity


def _written_usage(usage: Usage) -> dict[str, Any]:
    told = {name: getattr(usage, name) for name in _USAGE}
    return {name: value for name, value in told.items() if value != _USAGE[name]}


def _seen(line: str) -> str:
    """`line` with what is not seen in it as escapes."""
    if line.isascii() and "\x7f" not in line:  # far quicker
        return line
    return _UNSEEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", line)


def _as_line(told: dict[str, Any]) -> str:
    line = json.dumps(told, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # half of an emoji
        line = json.dumps(told)
    return line
