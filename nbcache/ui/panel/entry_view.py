"""An entry as the panel shows it: its row, and all that is shown of it when it is opened. A miss, too."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from nbcache import codec
from nbcache.cache.misses.log import LoggedMiss
from nbcache.costs.money import usd_text
from nbcache.entry.durations_and_sizes import bytes_text, seconds_text
from nbcache.entry.filter import FUNCTIONS
from nbcache.entry.records import EntryMeta, Usage
from nbcache.entry.text import answer_text, prompt_preview
from nbcache.keys.request import document
from nbcache.ui import report
from nbcache.ui.panel.transcript import TranscriptMessage, answer_chat, function_chat, prompt_chat

_MAX_TEXT = 20_000  # characters of a message that are shown
_IN_ROW = (
    *("key", "prompt", "answer", "model", "provider", "streamed", "kind", "status", "tags", "notebooks", "cell"),
    *("created", "last_hit", "hits", "size_bytes", "expires", "input_tokens", "output_tokens", "seconds"),
)


def row_view(meta: EntryMeta) -> dict[str, Any]:
    """A row of the table."""
    return {
        **{name: getattr(meta, name) for name in _IN_ROW},
        "client": report.client_text(meta),
        "size": bytes_text(meta.size_bytes),
        "cost": "" if meta.cost_usd is None else usd_text(meta.cost_usd),
        "cost_note": "as the provider charged" if meta.charged else "",
    }


def opened_view(meta: EntryMeta, payload: codec.Payload, *, renewed: bool, has_hits: bool) -> dict[str, Any]:
    """All that is shown of an opened entry. `renewed` says that the next such call is made anew."""
    header = payload.header()
    prompt, answer = _chats(meta, header, payload)
    return {
        "key": meta.key,
        "title": meta.prompt,
        "prompt": [_message(each, meta.key) for each in prompt],
        "answer": [_message(each, meta.key) for each in answer],
        "facts": _facts(meta, header, renewed=renewed, has_hits=has_hits),
        "parameters": _cut(_parameters(header), meta.key),
    }


def miss_view(missed: LoggedMiss) -> dict[str, Any]:
    """A row of the list of misses."""
    record = missed.record
    return {
        "number": missed.number,
        "when": record.when,
        "model": record.model,
        "prompt": prompt_preview(missed.prompt),
        "why": record.why,
    }


def _chats(
    meta: EntryMeta, header: codec.EntryHeader, payload: codec.Payload
) -> tuple[list[TranscriptMessage], list[TranscriptMessage]]:
    """The prompt and the answer; of a function or a tool its call and its value."""
    if meta.kind in FUNCTIONS:
        return function_chat(header.shown_prompt, answer_text(payload.plain()))
    return prompt_chat(header.shown_prompt), answer_chat(payload.plain())


def _message(message: TranscriptMessage, key: str) -> dict[str, Any]:
    parts = [asdict(part) | {"text": _cut(part.text, key)} for part in message.parts]
    return {"role": message.role, "parts": parts}


def _parameters(header: codec.EntryHeader) -> str:
    identity = {**document(header.identity), "endpoint": header.endpoint}
    return json.dumps(identity, indent=2, ensure_ascii=False)


def _cut(text: str, key: str) -> str:
    """`text`, cut to what a page shows."""
    more = len(text) - _MAX_TEXT
    return (
        text if more <= 0 else f"{text[:_MAX_TEXT]}…\n\n[{more:,} more characters: %llmcache show {key[:8]} prints all]"
    )


def _facts(meta: EntryMeta, header: codec.EntryHeader, *, renewed: bool, has_hits: bool) -> list[tuple[str, str]]:
    hits = f"{meta.hits:,}" + (f", the last {_time(meta.last_hit)}" if meta.last_hit else "")
    facts = {
        "Kind": meta.kind,
        "Function": meta.function,
        "Model": None if meta.function else meta.model,
        "Provider": meta.provider,
        "Client": report.client_text(meta) if meta.client else None,
        "Status": meta.status + (" (the next such call is made anew)" if renewed else ""),
        "Tokens": _tokens(header.usage),
        "Price": _price(meta),
        "Took": None if meta.seconds is None else seconds_text(meta.seconds),
        "Recorded": _time(meta.created),
        "Stored by": report.versions_text(header.versions),
        "Hits": hits if has_hits else None,
        "Expires": "never" if meta.expires is None else _time(meta.expires),
        "Notebooks": ", ".join(meta.notebooks),
        "Cell": meta.cell,
        "Tags": ", ".join(meta.tags),
        "Size": bytes_text(meta.size_bytes),
        "Key": meta.key,
    }
    return [(name, value) for name, value in facts.items() if value]


def _price(meta: EntryMeta) -> str:
    if meta.cost_usd is None:
        return "not known"
    return f"{usd_text(meta.cost_usd)} when it was recorded{', as the provider charged' if meta.charged else ''}"


def _tokens(usage: Usage | None) -> str:
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return "not reported"
    parts = [
        (usage.input_tokens, "in"),
        (usage.output_tokens, "out"),
        (usage.cache_read_tokens or None, "read from the provider's cache"),
        (usage.cache_write_tokens or None, "written to it"),
        (usage.reasoning_tokens or None, "of reasoning"),
    ]
    return ", ".join(f"{number:,} {what}" for number, what in parts if number is not None)


def _time(when: float | None) -> str:
    """The time in the kernel's time zone, which mostly is the browser's, as in the rows."""
    return "" if when is None else datetime.fromtimestamp(when, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
