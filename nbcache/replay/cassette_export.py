"""Writes entries into a cassette: `%llmcache export`."""

import codecs
import os
import shutil
import tempfile
import time
from collections.abc import Collection
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from nbcache import codec
from nbcache.codec.chunk_limits import is_replayable
from nbcache.codec.new_entry import call_of
from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError, NbcacheError
from nbcache.keys.prompt import Normalize
from nbcache.replay.cassette_format import AHEAD, FIRST, USAGE_TEXTS, Recording
from nbcache.replay.cassette_update import (
    lines_without_key,
    recorded_lines,
    refuse_newer,
    refuse_to_uncover,
    with_later_parts,
)
from nbcache.replay.export_import_results import Exported
from nbcache.replay.replay_key import scrubbed
from nbcache.replay.secrets.scrubber import Scrubber
from nbcache.stores.progress import Progress, followed
from nbcache.stores.view import Contents

_LOOKED_AT = 4_096  # bytes of a file, to find out what it is


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
    rows = contents.entries(keys)
    if not rows:
        whose = "there is no entry" if contents.notebook is None else f"no entry is {contents.notebook}'s"
        raise ValueError(f"there is nothing to export: {whose}" + ("" if keys is None else " that was used"))
    lines: dict[str, str] = {}
    taken_out: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    for row in followed(sorted(rows, key=attrgetter("created"), reverse=True), progress):
        try:
            recording, kinds = _recorded(contents, row, scrubber, normalize)
        except (_LeftOutError, DamagedError) as why:
            left_out[row.key] = str(why)
            continue
        if kinds:
            taken_out[row.key] = kinds
        line = recording.line()
        # Two entries may be the same call without their secrets. One that had none came from an import of the other: no loss.
        if lines.setdefault(recording.call.key, line) != line and kinds:
            left_out[row.key] = "without its secret it is the same call as a later one"
    if not lines:  # the file stays as it is
        return Exported(path, 0, 0, changed=False, left_out=left_out)
    before = path.read_bytes().replace(b"\r\n", b"\n") if path.exists() else b""  # as git may have it on Windows
    refuse_newer(path, before)
    text = "".join(line + "\n" for line in sorted(with_later_parts(before, lines))).encode()
    lines_before = recorded_lines(before)
    refuse_to_uncover(lines_before, lines)
    changed = before != text
    gone = tuple(key for key in lines_before if key not in lines)
    unknown = lines_without_key(before)
    done = Exported(path, len(lines), len(text), changed, taken_out, left_out, gone, unknown)
    if changed and not check:
        if gone or unknown:
            shutil.copyfile(path, done.backup)
        _write(path, text)
    return done


def _recorded(
    contents: Contents, row: EntryMeta, scrubber: Scrubber, normalize: Normalize | None
) -> tuple[Recording, list[str]]:
    """An entry as a recording without secrets, and the kinds of those that were taken out. Raises _LeftOutError."""
    payload = contents.store.get(row.key)
    if payload is None:
        raise _LeftOutError("it has just gone")
    if row.created > time.time() + AHEAD:
        raise _LeftOutError("it says that it was stored at a time to come, and nothing would read that")
    whole = codec.read(payload, row.key)
    header, answer, chunks = whole.header(), whole.plain(), whole.packed_chunks()
    if not is_replayable(chunks):  # it would be refused when it is read
        chunks = []
    if kinds := scrubber.kinds_in([answer, chunks]):
        raise _LeftOutError(f"its answer holds {', '.join(kinds)}")
    call = call_of(row.key, header, normalize)
    if call is None:
        raise _LeftOutError("it was stored under a `normalize` that isn't set now")
    call, kinds = scrubbed(call, scrubber)
    names = sorted(USAGE_TEXTS) if header.usage else []
    texts = [getattr(header.usage, name) for name in names]
    beside = [call.model, list(row.tags), texts]
    usage = header.usage
    if more := scrubber.kinds_in(beside):
        kinds = list(dict.fromkeys([*kinds, *more]))
        model, tags, texts = scrubber.value(beside)
        call, row = replace(call, model=model), replace(row, tags=tuple(tags))
        usage = replace(usage, **dict(zip(names, texts, strict=True))) if usage else None
    return Recording(call, answer, chunks, usage, row), kinds


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


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The umask of this process. It can only be read by setting it."""
    now = os.umask(0o077)
    os.umask(now)
    return now
