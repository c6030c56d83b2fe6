"""Writes entries into a cassette: `%llmcache export`."""

import codecs
import os
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from nbcache import codec
from nbcache.codec.chunk_limits import is_replayable
from nbcache.codec.entry_description import call_of
from nbcache.codec.payload import Payload
from nbcache.entry.records import EntryMeta, InnerCall, Usage
from nbcache.errors import DamagedError, NbcacheError, NotStorableError
from nbcache.keys.prompt import Normalize
from nbcache.replay.cassette_draft import TABLES, CassetteDraft
from nbcache.replay.cassette_fields import AHEAD, USAGE_TEXTS
from nbcache.replay.cassette_format import FIRST, Recording
from nbcache.replay.cassette_update import compare, with_plain_end
from nbcache.replay.export_import_results import Exported
from nbcache.replay.replay_key import scrubbed
from nbcache.replay.secrets.scrubber import Scrubber
from nbcache.replay.temporary_tables import temporary_tables
from nbcache.replay.untrusted_files import FileBounds
from nbcache.stores.progress import Progress, followed
from nbcache.stores.view import Contents

_LOOKED_AT = 4_096  # bytes of a file, to find out what it is
_USAGE_TEXTS = tuple(sorted(USAGE_TEXTS))
_BLOCK = 1_000_000  # bytes that are copied at once


class _LeftOutError(NbcacheError):
    """An entry that is not to be in a cassette."""


def export_entries(  # noqa: PLR0913 - what an export is
    contents: Contents,
    path: Path,
    *,
    scrubber: Scrubber,
    normalize: Normalize | None = None,
    keys: Collection[str] | None = None,
    check: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write the entries, or those of them among `keys`, to `path`; with `check` only look what that would change.

    `normalize` is the rule under which the entries were stored. Raises ValueError where there are none or where the file
    has a placeholder for what would be written now, CassetteError where a newer nbcache wrote the file, StoreError or OSError.
    """
    path = _target(path)
    entries = contents.stream(keys=keys)
    if not len(entries):
        whose = "there is no entry" if contents.notebook is None else f"no entry is {contents.notebook}'s"
        raise ValueError(f"there is nothing to export: {whose}" + ("" if keys is None else " that was used"))
    taken_out: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    with temporary_tables(*TABLES) as database:
        draft, bounds = CassetteDraft(database), FileBounds()
        for row, payload in followed(entries, progress):  # the newest first
            try:
                recording, kinds = _recorded(row, payload, scrubber, normalize)
                line = _line_within(bounds, recording)
            except (_LeftOutError, DamagedError) as why:
                left_out[row.key] = str(why)
                continue
            if kinds:
                taken_out[row.key] = kinds
            # Two entries may be the same call without their secrets. One that had none came from an import of the other:
            # no loss.
            if not draft.add(recording.call.key, line) and kinds:
                left_out[row.key] = "without its secret it is the same call as a later one"
        if not len(draft):  # the file stays as it is
            return Exported(path, 0, 0, changed=False, left_out=left_out)
        unknown = compare(draft, path) if path.exists() else 0
        gone = tuple(key.decode(errors="surrogatepass") for key, _ in draft.gone())
        changed = not _is_written(path, draft)
        done = Exported(path, len(draft), draft.size_bytes, changed, taken_out, left_out, gone, unknown)
        if changed and not check:
            if gone or unknown:
                _copy(path, done.backup)
            _write(path, draft.lines())
    return done


def _line_within(bounds: FileBounds, recording: Recording) -> str:
    """The line of a recording. Raises _LeftOutError if a file with it could not be imported."""
    line = recording.line()
    if excess := bounds.excess(f"{line}\n".encode()):
        raise _LeftOutError(f"its line {excess}, and no import would read that")
    return line


def _recorded(
    row: EntryMeta, payload: bytes, scrubber: Scrubber, normalize: Normalize | None
) -> tuple[Recording, list[str]]:
    """An entry as a recording without secrets, and the kinds of those that were taken out. Raises _LeftOutError."""
    if row.created > time.time() + AHEAD:
        raise _LeftOutError("it says that it was stored at a time to come, and nothing would read that")
    whole = codec.read(payload, row.key)
    header, answer, chunks = whole.header(), whole.plain_with_buffers(), whole.packed_chunks()
    if not is_replayable(chunks):  # it would be refused when it is read
        chunks = []
    if kinds := scrubber.kinds_in([whole.plain(), _hidden_texts(whole, answer), chunks]):
        raise _LeftOutError(f"its answer holds {', '.join(kinds)}")
    call = call_of(row.key, header, normalize)
    if call is None:
        raise _LeftOutError("it was stored under a `normalize` that isn't set now")
    call, kinds = scrubbed(call, scrubber)
    calls: Sequence[InnerCall] = header.calls or ()
    usages = [header.usage, *(each.usage for each in calls)]
    beside = [call.model, list(row.tags), [each.model for each in calls], [_texts_of(usage) for usage in usages]]
    if more := scrubber.kinds_in(beside):
        kinds = list(dict.fromkeys([*kinds, *more]))
        model, tags, models, texts = scrubber.value(beside)
        call, row = call._replace(model=model), replace(row, tags=tuple(tags))
        usages = [_with_texts(usage, each) for usage, each in zip(usages, texts, strict=True)]
        named = zip(calls, models, usages[1:], strict=True)
        calls = [replace(each, model=model, usage=usage) for each, model, usage in named]
    return Recording(call, answer, chunks, usages[0], row, None if header.calls is None else calls), kinds


def _texts_of(usage: Usage | None) -> list[str | None]:
    return [] if usage is None else [getattr(usage, name) for name in _USAGE_TEXTS]


def _with_texts(usage: Usage | None, texts: Iterable[str | None]) -> Usage | None:
    named: dict[str, Any] = dict(zip(_USAGE_TEXTS, texts, strict=False))
    return None if usage is None else replace(usage, **named)


def _hidden_texts(whole: Payload, answer: list[dict[str, Any]]) -> list[Any]:
    """The texts in an answer that its JSON does not show. Raises _LeftOutError if they can't be read."""
    if not whole.buffers and not any("value" in (generation.get("info") or ()) for generation in answer):
        return []
    from nbcache.codec.values.hidden_texts import hidden_texts  # noqa: PLC0415 - most entries hold the answer of a model

    try:
        return hidden_texts(answer)
    except (NotStorableError, *codec.UNREADABLE) as error:
        raise _LeftOutError(f"its answer can't be searched for secrets: {error}") from None


def _target(path: Path) -> Path:
    """The file to write: what `path` links to. Raises ValueError if that exists and is no cassette, or if it can't be made."""
    try:
        path = path.resolve()
    except RuntimeError as error:  # Python before 3.13, of a link to itself
        raise ValueError(str(error)) from None
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}")
    if not path.exists():
        if path.suffix == ".ipynb":
            raise ValueError(f"{path.name} would be a notebook: name another file to export to")
        return path
    if not path.is_file():
        raise ValueError(f"{path} is no file: name the file to export to")
    if path.stat().st_size:
        with path.open("rb") as file:
            beginning = file.read(_LOOKED_AT).removeprefix(codecs.BOM_UTF8).lstrip()
        if not beginning.startswith(FIRST):
            raise ValueError(f"{path} is there and no cassette, so it stays as it is: name another file to export to")
    return path


def _is_written(path: Path, draft: CassetteDraft) -> bool:
    """Whether the file is as the draft is."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return all(line == new for line, new in zip_longest(map(with_plain_end, file), draft.lines()))


def _copy(path: Path, copy: Path) -> None:
    with path.open("rb") as file:
        _write(copy, iter(partial(file.read, _BLOCK), b""))


def _write(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file whole or not at all, and leave nothing else behind after an interrupt."""
    unfinished = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        with open(unfinished, "xb", opener=_for_the_owner) as file:
            file.writelines(parts)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        unfinished.chmod(mode)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _umask() -> int:
    """The umask of this process. It can only be read by setting it."""
    now = os.umask(0o077)
    os.umask(now)
    return now
