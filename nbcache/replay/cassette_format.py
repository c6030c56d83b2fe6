"""A cassette: recorded answers as a file of JSON lines, one readable entry a line, to be kept in git with a notebook.

A cassette is untrusted: nothing in it is executed or imported, keys and statuses are worked out anew, and a file
with a line that is wrong is refused whole.

**Unknown means newer.** A later release may add a field that doesn't change what the others mean: this release passes over
it. A line that is no recording has a field `kind`: this release passes over the line. Both stay in the file when an export
writes it anew. What changes a meaning takes another FORMAT_VERSION: then this release leaves the file alone, and says
that a newer one wrote it.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from nbcache import codec
from nbcache.codec.entry_description import header_of, row_of
from nbcache.codec.payload import Payload
from nbcache.entry.records import EntryMeta, InnerCall, Usage
from nbcache.entry.status import UNFINISHED, reusable, status_of
from nbcache.errors import CassetteError
from nbcache.keys.earlier_keys import call_now
from nbcache.keys.json_text import parsed_strictly, written_json
from nbcache.keys.key import SENT, VERSION_1, CallKey, key_in_version, prompt_of_request, rebuilt_call_key
from nbcache.keys.prompt import VERBATIM
from nbcache.replay.answer_validation import checked_answer, dicts, is_flat
from nbcache.replay.cassette_fields import (
    NAMED_KINDS,
    calls_in,
    kind_in,
    price_in,
    seconds_in,
    texts_in,
    usage_in,
    when_in,
    written_calls,
    written_seconds,
    written_usage,
)
from nbcache.replay.untrusted_files import Lines
from nbcache.stores.progress import Progress, followed

FORMAT_VERSION = 2
FIRST = b'{"nbcache":'  # bytes of a cassette
_MESSAGE = re.compile(r"[A-Z][A-Za-z]*Message(Chunk)?")
_LC = ["langchain", "schema", "messages"]  # where LangChain's own messages say they come from
# Characters that are invisible, or that change the order of others: they are written as JSON's escapes.
_UNSEEN = re.compile("[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_CONFLICT = ("<<<<<<< ", "=======", ">>>>>>> ", "||||||| ")  # how such lines begin
_MOST_DRAWS = 1_000_000
_SHOWN = 400  # characters of what is wrong
_DEEPEST = 200  # levels of lists and objects: what looks at them calls itself for each
FIELDS = {
    *("nbcache", "key", "model", "messages", "verbatim", "prompt", "counts", "sent", "answer", "chunks", "status"),
    *("parameters", "endpoint", "draw", "tokens", "price", "recorded", "seconds", "tags"),
    "calls",
    *NAMED_KINDS,
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One line: the call, its answer in the codec's plain form, and the row of the entry that it is.

    `calls` are those that were made inside of a function.
    """

    call: CallKey
    answer: list[dict[str, Any]]
    chunks: list[Any]
    usage: Usage | None
    meta: EntryMeta
    calls: Sequence[InnerCall] | None = None

    def line(self) -> str:
        """The recording as a line of JSON, without its end. The same recording is always the same line."""
        meta = self.meta
        values: dict[str, Any] = {"nbcache": FORMAT_VERSION, "key": self.call.key, "model": self.call.model}
        values |= _written_prompt(self.call) | {"answer": self.answer}
        values |= {"chunks": self.chunks} if self.chunks else {}
        values |= {"status": meta.status, **_written_parameters(self.call), "endpoint": self.call.endpoint}
        values |= written_usage(self.usage)
        values |= {} if meta.cost_usd is None else {"price": f"{meta.cost_usd:f}"}
        values |= {"recorded": datetime.fromtimestamp(meta.created, UTC).isoformat().replace("+00:00", "Z")}
        values |= written_seconds(meta.seconds)
        values |= {"tags": list(meta.tags)} if meta.tags else {}
        values |= {meta.kind: meta.function} if meta.kind in NAMED_KINDS and meta.function else {}
        values |= written_calls(self.calls)
        return _with_escapes(_as_line(values))

    def entry(self, notebook: str | None = None) -> tuple[bytes, EntryMeta]:
        """The payload and the row of the entry for this recording, owned by `notebook`."""
        meta = self.meta if notebook is None else replace(self.meta, notebooks=(notebook,))
        row = meta if meta.cost_usd is None else replace(meta, cost_usd=None, charged=False)  # the row's alone
        again = reusable(meta.status, limits_tokens=self.call.limits_tokens)
        header = header_of(self.call, row, self.usage, calls=self.calls)
        return codec.assemble(self.answer, header, reusable=again, chunks=self.chunks), meta

    def same_answer(self, payload: Payload) -> bool:
        """Whether an entry has this very answer. Raises DamagedError."""
        return self.answer == payload.plain_with_buffers() and self.chunks == payload.packed_chunks()


class Line(NamedTuple):
    """A recording, and where it stands in its file. `is_earlier` says that an earlier version wrote it."""

    number: int
    recording: Recording
    is_earlier: bool


def read(path: Path) -> list[Recording]:
    """The recordings of a file, in its order. Raises CassetteError, naming the line, or OSError."""
    line_of: dict[str, int] = {}
    recordings: dict[str, Recording] = {}
    for line in lines_in(path):
        key = line.recording.call.key
        if key in line_of:
            refuse_twice(path, line, line_of[key])
        line_of[key] = line.number
        recordings[key] = line.recording
    return [*recordings.values()]


def refuse_twice(path: Path, line: Line, earlier: int) -> None:
    """Raise CassetteError where two lines record the same call. Of an earlier version the later line counts."""
    if not line.is_earlier:
        raise CassetteError(f"{path}, line {line.number} records the same call as line {earlier}")


def lines_in(path: Path, progress: Progress | None = None) -> Iterator[Line]:
    """The recordings of a file, one after the other. Raises CassetteError, naming the line, or OSError."""
    at = 0
    is_empty = True
    for number, written in enumerate(followed(Lines(path), progress), 1):  # JSON has no other line's end
        text = _decoded(written, path, at)
        at += len(written)
        if not text.strip():
            continue
        if text.startswith(_CONFLICT):
            raise CassetteError(f"{path}, line {number} is of a conflict that git left: keep one of both, line by line")
        try:
            values = _parsed(text, parsed_strictly)
            check_version(values)
            if "kind" in values:
                continue
            recording = _recording(values)
        except CassetteError as error:
            raise CassetteError(f"{path}, line {number}: {_cut(str(error))}") from None
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, ArithmeticError) as error:
            raise CassetteError(f"{path}, line {number} is no recording: {_cut(_reason(error))}") from None
        yield Line(number, recording, values["nbcache"] < FORMAT_VERSION)
        is_empty = False
    if is_empty:
        raise CassetteError(f"{path} is empty")


def _decoded(line: bytes, path: Path, at: int) -> str:
    try:
        return line.decode("utf-8" if at else "utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {at + error.start}"
        raise CassetteError(f"{path} is no cassette: it is no UTF-8 text ({where})") from None


def _cut(text: str) -> str:
    """The message, cut off: it may quote a whole line."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


# A line, read


def _parsed(text: str, read: Callable[[str], Any] = json.loads) -> Any:
    """The JSON value in a text. Raises ValueError, or RecursionError if it is nested too deeply."""
    value = read(text)
    if _may_be_deep(text) and not is_flat(value, _DEEPEST):
        raise RecursionError
    return value


def _may_be_deep(text: str) -> bool:
    """Whether a text has enough brackets to be nested too deeply. Most texts have not, and need no further look."""
    return text.count("[") + text.count("{") > _DEEPEST


def _recording(values: Any) -> Recording:
    call = _call(values)
    key = key_in_version(call, VERSION_1) if values["nbcache"] == 1 else call.key
    if values.get("key", key) != key:
        raise CassetteError(
            f"its key is {values['key']!r}, but its prompt and parameters have {key!r}: they were edited, or the key "
            "was. Take the key out to have it worked out anew"
        )
    if values["nbcache"] == 1:
        call = call_now(call) or call
    call.identity.decode()  # whatever is wrong with it is found now
    usage = usage_in(values["tokens"]) if "tokens" in values else None
    answer, chunks = dicts(values["answer"], "answer"), values.get("chunks") or []
    generations = checked_answer(answer, chunks)
    kind, function = kind_in(values)
    meta = row_of(
        *(call, generations, usage or Usage()),
        status=status_of(
            generations, ended=values.get("status") != UNFINISHED
        ),  # the answer itself doesn't show that it broke off
        created=when_in(values["recorded"]),
        seconds=seconds_in(values.get("seconds")),
        tags=texts_in(values.get("tags", []), "tags"),
        notebook=None,
        cost_usd=price_in(values.get("price")),
        has_chunks=bool(chunks),
        kind=kind,
        function=function,
    )
    return Recording(call, answer, chunks, usage, meta, calls_in(values.get("calls")))


def check_version(values: Any) -> None:
    """Raise CassetteError where this is no line of a cassette, or a newer release's."""
    if not isinstance(values, dict) or "nbcache" not in values:
        raise CassetteError("it is no recording of nbcache")
    version = values["nbcache"]
    if type(version) is not int or version < 1:
        raise CassetteError(f"its format is {version!r}")
    if version > FORMAT_VERSION:
        raise CassetteError(f"it was written by a newer nbcache (format {version!r}; this one reads {FORMAT_VERSION})")


def _call(values: Mapping[str, Any]) -> CallKey:
    prompt, counted = _prompt(values)
    model, endpoint, parameters = values["model"], values["endpoint"], values["parameters"]
    if not isinstance(model, str) or not isinstance(endpoint, str):
        raise CassetteError("its model and endpoint are texts")
    identity = parameters if isinstance(parameters, str) else written_json(parameters).decode()
    for text in {prompt, counted.removeprefix(VERBATIM).decode(errors="surrogatepass"), identity}:
        if _may_be_deep(text):
            with contextlib.suppress(ValueError):  # no JSON, and so not deep
                _parsed(text)
    if (draw := values.get("draw")) is not None:
        if type(draw) is not int or not 1 <= draw < _MOST_DRAWS:
            raise CassetteError(f"its draw is {str(draw)[:40]!r}")
        identity = identity[:-1] + f',"draw":{draw}}}'
        json.loads(identity)  # raises ValueError if the draw is the only field: `{,"draw":1}` is no JSON
    rewritten = "counts" in values or "sent" in values
    return rebuilt_call_key(counted, prompt, identity=identity, endpoint=endpoint, model=model, rewritten=rewritten)


def _prompt(values: Mapping[str, Any]) -> tuple[str, bytes]:
    """The prompt as it is shown, and what counts of it."""
    if "sent" in values:
        if values.keys() & {"messages", "prompt", "counts"}:
            raise CassetteError("it has a prompt besides what is sent, which would be two")
        sent = values["sent"]
        counted = SENT + (sent.encode(errors="surrogatepass") if isinstance(sent, str) else written_json(sent))
        return prompt_of_request(counted), counted
    if "messages" in values:
        if "prompt" in values:
            raise CassetteError("it has messages and a prompt, which would be two")
        messages = dicts(values["messages"], "messages")
        if values.get("verbatim"):
            prompt = json.dumps(messages, ensure_ascii=False)
            counted = VERBATIM + prompt.encode(errors="surrogatepass")
        else:
            counted = written_json([_expanded(message) for message in messages])
            prompt = counted.decode(errors="surrogatepass")
    else:
        prompt = values["prompt"]
        if not isinstance(prompt, str):
            raise CassetteError("its prompt is a text")
        counted = (b"" if values.get("verbatim") is False else VERBATIM) + prompt.encode(errors="surrogatepass")
    counts = values.get("counts")
    return prompt, counted if counts is None else counts.encode(errors="surrogatepass")


def _expanded(message: dict[str, Any]) -> dict[str, Any]:
    if len(message) == 1:
        ((name, kwargs),) = message.items()
        if _MESSAGE.fullmatch(name):
            return {"lc": 1, "type": "constructor", "id": [*_LC, name], "kwargs": kwargs}
    return message


# A line, written


def _written_prompt(call: CallKey) -> dict[str, Any]:
    """The prompt in the most readable way that gives it back exactly."""
    if call.canonical_prompt.startswith(SENT):
        return {"sent": _readable(call.canonical_prompt.removeprefix(SENT).decode(errors="surrogatepass"))}
    is_text = call.rewritten or call.canonical_prompt.startswith(VERBATIM)
    counted = VERBATIM + call.prompt.encode(errors="surrogatepass") if call.rewritten else call.canonical_prompt
    prompt = counted.removeprefix(VERBATIM if is_text else b"").decode(errors="surrogatepass")
    written: dict[str, Any] = {"messages": _messages(prompt, verbatim=is_text)}
    written |= {"verbatim": True} if is_text else {}
    if written["messages"] is None or _prompt(written) != (prompt, counted):
        written = {"prompt": prompt, **({} if is_text else {"verbatim": False})}
    return written | ({"counts": call.canonical_prompt.decode(errors="surrogatepass")} if call.rewritten else {})


def _messages(prompt: str, *, verbatim: bool) -> list[dict[str, Any]] | None:
    """The messages that a prompt holds. None if it doesn't hold messages."""
    try:
        messages = json.loads(prompt) if prompt.startswith("[{") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return None
    return messages if verbatim else [_shortened(message) for message in messages]


def _shortened(message: dict[str, Any]) -> dict[str, Any]:
    short = {message["id"][-1]: message["kwargs"]} if isinstance(message.get("id"), list) and message["id"] else message
    return short if _expanded(short) == message else message


def _written_parameters(call: CallKey) -> dict[str, Any]:
    identity = call.identity.decode()
    draw = {}
    if call.sample:
        identity, draw = identity[: identity.rindex(',"draw":')] + "}", {"draw": call.sample}
    return {"parameters": _readable(identity), **draw}


@lru_cache(maxsize=256)
def _readable(identity: str) -> Any:
    """Canonical JSON, an identity that most calls of a notebook share, as JSON where that gives it back exactly."""
    parameters = json.loads(identity)
    return parameters if written_json(parameters).decode() == identity else identity


def _with_escapes(line: str) -> str:
    """`line` with its invisible characters as escapes."""
    if line.isascii() and "\x7f" not in line:  # far quicker
        return line
    return _UNSEEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", line)


_write = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode  # nothing of a recording holds itself


def _as_line(values: dict[str, Any]) -> str:
    line = _write(values)
    try:
        line.encode()
    except UnicodeEncodeError:  # half of an emoji
        line = json.dumps(values)
    return line
