"""What describes an entry: the row and the header of a new one, made of its call; and the row and the call of one that is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from langchain_core.outputs import Generation

from nbcache.codec.header import EntryHeader, shown_prompt
from nbcache.codec.payload import Payload
from nbcache.entry.client import client_of, is_streamed
from nbcache.entry.kind import CALL, MODELS, kind_of
from nbcache.entry.records import EntryMeta, InnerCall, Usage
from nbcache.entry.text import answer_preview, prompt_preview
from nbcache.keys.key import KEY_VERSION, CallKey, call_key_of_entry
from nbcache.keys.prompt import Normalize
from nbcache.keys.request import document


def row_of(  # noqa: PLR0913 - all that a row tells
    call_key: CallKey,
    answer: Sequence[Generation],
    usage: Usage,
    *,
    status: str,
    created: float,
    notebook: str | None,
    seconds: float | None = None,
    tags: tuple[str, ...] = (),
    cell: str | None = None,
    cost_usd: Decimal | None = None,
    has_chunks: bool = False,
    kind: str | None = None,
    function: str | None = None,
) -> EntryMeta:
    """The row of the entry that is this answer to this call. `has_chunks` says that its chunks are stored, too.

    `kind` says what made the answer, and `function` is its name, if that is a function or a tool.
    """
    identity, info = document(call_key.identity), answer[0].generation_info if answer else None
    kind = kind or kind_of(identity, info, answer[0].text if answer else None)
    return EntryMeta(
        key=call_key.key,
        model=call_key.model,
        prompt=prompt_preview(prompt_to_show(call_key, answer)),
        answer=answer_preview(answer),
        status=status,
        created=created,
        tags=tags,
        notebooks=() if notebook is None else (notebook,),
        cell=cell,
        provider=usage.provider,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=cost_usd,
        seconds=seconds,
        charged=cost_usd is not None and usage.charged is not None and cost_usd == Decimal(usage.charged),
        client=client_of(identity, info) if kind in MODELS else None,
        streamed=is_streamed(identity, info, has_chunks=has_chunks),
        kind=kind,
        function=function,
    )


def prompt_to_show(call_key: CallKey, answer: Sequence[Generation]) -> str:
    """The prompt of a call as people see it, and as its tokens are estimated."""
    if call_key.prompt:
        return call_key.prompt
    info = answer[0].generation_info if answer else None
    return shown_prompt("", client_of(document(call_key.identity), info), call_key.identity)


def row_in(payload: Payload) -> EntryMeta:
    """The row of an entry as its payload has it, also one that an earlier nbcache wrote. Raises DamagedError."""
    header, answers = payload.header(), payload.plain()
    info, text = (answers[0].get("info"), answers[0].get("text")) if answers else (None, None)
    try:
        identity = document(header.identity)
    except (ValueError, RecursionError):  # whatever it is, it is no call of an SDK
        identity = {}
    kind = kind_of(identity, info, text) if header.meta.kind == CALL else header.meta.kind
    return replace(
        header.meta,
        key=payload.key,
        client=client_of(identity, info) if kind in MODELS else None,
        streamed=is_streamed(identity, info, has_chunks=bool(payload.streamed)),
        kind=kind,
    )


def header_of(
    call_key: CallKey,
    meta: EntryMeta,
    usage: Usage | None,
    versions: Mapping[str, str] | None = None,
    calls: Sequence[InnerCall] | None = None,
) -> EntryHeader:
    """The header of the entry of this call, stored by these versions. `calls` are those inside of a function."""
    canonical_prompt = call_key.canonical_prompt.decode(errors="surrogatepass") if call_key.rewritten else None
    return EntryHeader(
        *(meta, call_key.prompt, call_key.identity.decode(), call_key.endpoint, usage, canonical_prompt, versions),
        calls=calls,
    )


def call_of(
    key: str, header: EntryHeader, normalize: Normalize | None, *, version: int = KEY_VERSION
) -> CallKey | None:
    """The call of the entry `key`, of that version. None if it was stored under another `normalize` than the one given."""
    return call_key_of_entry(
        *(key, header.prompt),
        identity=header.identity,
        endpoint=header.endpoint,
        model=header.meta.model,
        canonical_prompt=header.said,
        normalize=normalize,
        version=version,
    )
