"""The entry of an answer that has just come: its payload and its row."""

from collections.abc import Sequence

from langchain_core.outputs import Generation

from nbcache import codec
from nbcache.cache.pending import Answered
from nbcache.cache.settings import Settings
from nbcache.codec.header import VERSIONS
from nbcache.codec.new_entry import header_of, row_of
from nbcache.entry.models import EntryMeta, Usage
from nbcache.entry.response_headers import without_private
from nbcache.entry.status import reusable
from nbcache.entry.verdict import status_now
from nbcache.keys.key import CallKey


def new_entry(  # noqa: PLR0913 - all that an entry holds
    key: CallKey,
    answered: Answered,
    answer: Sequence[Generation],
    usage: Usage,
    settings: Settings,
    *,
    notebook: str | None,
    cell: str | None,
) -> tuple[bytes, EntryMeta]:
    """The payload and the row of the entry of this answer. Raises NotStorableError."""
    call = answered.call
    meta = row_of(
        *(key, answer, usage),
        status=status_now(answer, call, key.model, ended=None if call is None else call.ended),
        created=answered.when,  # not now: which calls overlapped is worked out from this
        seconds=answered.seconds,
        tags=settings.tags,
        notebook=notebook,
        cell=cell,
    )
    payload = codec.encode(
        *(without_private(answer), header_of(key, meta, usage, VERSIONS)),
        reusable=reusable(meta.status, limits_tokens=key.limits_tokens),
        expires=settings.ttl is not None,
        chunks=answered.chunks(),
        classes=answered.classes(),
    )
    return payload, meta
