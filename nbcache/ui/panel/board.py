"""The panel's numbers and entries as plain values, and the replies to its requests. Texts for people are made here, not in the browser."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from nbcache.cache.modes import MODES, OFF, checked_mode
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.costs.money import (
    amount_text,
    note_text,
    provider_note,
    saved,
    saved_by_provider,
    saved_text,
    spent,
    usd_text,
    waited_text,
)
from nbcache.entry.durations_and_sizes import bytes_text, seconds_text
from nbcache.entry.records import Filter
from nbcache.entry.stats import Stats
from nbcache.session import installation
from nbcache.stores.base import Listable
from nbcache.stores.view import Contents
from nbcache.ui import report
from nbcache.ui.panel import page_requests
from nbcache.ui.panel.entry_actions import ACTIONS, place, would_clear
from nbcache.ui.panel.entry_links import links
from nbcache.ui.panel.entry_view import miss_view, opened_view, row_view
from nbcache.ui.tier_texts import hits_text

_SUMMED = 5_000  # entries found by a search at most whose size is worked out
_INDEX_TIME = 0.2  # seconds that a search waits for the search index


class Board:
    """The numbers and entries of `cache`, or of the installed cache. Safe to use from any thread."""

    def __init__(self, cache: NotebookCache | None = None) -> None:
        self._given = cache

    @property
    def _cache(self) -> NotebookCache:
        return self._given or installation.installed()

    def state(self) -> dict[str, Any]:
        """The numbers of this session and of the scope; never a prompt or an answer, since notebooks save this."""
        if self._given is None and not installation.is_installed():
            return {"on": False, "mode": OFF, "modes": list(MODES)}
        cache = self._cache
        stats = cache.stats()
        calls = stats.hits + stats.misses
        return {
            "on": True,
            "mode": cache.settings.mode,
            "modes": list(MODES),
            "whose": report.whose(cache),
            "place": place(cache.contents()),
            "listable": isinstance(cache.store, Listable),
            "unlisted": cache.contents().unlisted,
            "hits": stats.hits,
            "misses": stats.misses,
            "hit_rate": stats.hit_rate if calls else None,
            "saved": saved_text(saved(stats)),
            "saved_note": note_text(saved(stats), "hit"),
            "spent": amount_text(spent(stats)),
            "spent_note": note_text(spent(stats), "miss"),
            **_provider(stats),
            "time_saved": waited_text(stats),
            "time_note": f"{seconds_text(stats.model_seconds)} of the models' time" if stats.model_seconds else "",
            "entries": "unknown" if stats.entries is None else stats.entries,
            "size": report.why_unknown(cache.store) if stats.size_bytes is None else bytes_text(stats.size_bytes),
            "bounds": report.bounds(cache),
            "evictions": stats.evictions or 0,
            "tiers": hits_text(stats.by_tier, cache.store),
            "errors": stats.errors,
        }

    def chart(self) -> dict[str, Any]:
        """Saved and spent US dollars over time, cumulative."""
        if self._given is None and not installation.is_installed():
            return {"when": [], "saved": [], "spent": [], "saved_text": "$0", "spent_text": "$0"}
        ledger = self._cache.ledger
        curve, sums = ledger.curve(), ledger.session()
        return {
            "when": [when for when, _, _ in curve],
            "saved": [float(usd) for _, usd, _ in curve],
            "spent": [float(usd) for _, _, usd in curve],
            "saved_text": saved_text(saved(sums)),
            "spent_text": amount_text(spent(sums)),
        }

    def cells(self) -> list[dict[str, Any]]:
        """What the last execution of each cell paid and saved."""
        if self._given is None and not installation.is_installed():
            return []
        cache = self._cache
        return [
            {
                "cell": cache.labels.get(row.cell or "", row.cell) or "outside of cells",
                "calls": row.hits + row.misses,
                "hits": row.hits,
                "spent": amount_text(spent(row)),
                "saved": saved_text(saved(row)),
                "time_saved": waited_text(row),
            }
            for row in cache.ledger.cells()
        ]

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever numbers, entries or settings may have changed. Returns a function that ends this."""
        return installation.listen(changed) if self._given is None else self._given.ledger.listen(changed)

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Reply to a request. Raises ValueError or NbcacheError, with a message for people."""
        handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "page": self._page,
            "entry": self._entry,
            "misses": self._misses,
            "why": self._why,
            "renew": self._renew,
            "mode": self._mode,
            "would clear": self._would_clear,
            **dict.fromkeys(ACTIONS, self._act),
        }
        if not isinstance(message, dict):
            raise page_requests.not_understood("this:", message)
        handler = handlers.get(str(message.get("type")))
        if handler is None:
            raise page_requests.not_understood("type", message.get("type"))
        reply: dict[str, Any] = _sendable(handler(message))
        return reply

    @property
    def _contents(self) -> Contents:
        return self._cache.contents()

    def _page(self, message: dict[str, Any]) -> dict[str, Any]:
        which = page_requests.entry_filter(message)
        if which.words:
            self._cache.ledger.index(within=_INDEX_TIME)
        contents = self._contents
        total, size = _sums(contents, which)
        limit = page_requests.limit(message)
        offset = min(max(0, page_requests.number(message, "offset")), max(0, total - 1) // limit * limit)
        sort = {"cost": "cost_usd"}.get(str(message.get("sort")), str(message.get("sort") or "created"))
        rows = contents.page(
            which, sort=sort, descending=bool(message.get("descending", True)), limit=limit, offset=offset
        )
        reply: dict[str, Any] = {
            "type": "page",
            "place": place(contents),
            "rows": list(map(row_view, rows)),
            "total": total,
            "offset": offset,
            "limit": limit,
            "size": size,
        }
        if message.get("facets"):
            facets = asdict(contents.facets())
            if contents.notebook is not None:  # other owners of these entries are no filter
                facets["notebook"] = ()
            reply["facets"] = facets
        return reply

    def _entry(self, message: dict[str, Any]) -> dict[str, Any]:
        contents = self._contents
        meta, payload = contents.open(str(message.get("key")))
        renewed, has_hits = self._cache.refreshes(meta.key), isinstance(contents.store, Listable)
        shown = opened_view(meta, payload, renewed=renewed, has_hits=has_hits)
        return {"type": "entry", **shown, **links(contents, meta, payload.header().calls or ())}

    def _misses(self, message: dict[str, Any]) -> dict[str, Any]:
        latest = self._cache.misses()[-page_requests.limit(message) :]
        return {"type": "misses", "rows": list(map(miss_view, reversed(latest)))}

    def _why(self, message: dict[str, Any]) -> dict[str, Any]:
        number = page_requests.number(message, "number")
        missed = next((each for each in self._cache.misses() if each.number == number), None)
        if missed is None:
            raise ValueError("why this call missed is no longer known: too many have missed since, or in a new session")
        why = self._cache.explain(missed)
        return {"type": "why", "number": number, "text": why.text, "changes": why.changes}

    def _renew(self, message: dict[str, Any]) -> dict[str, Any]:
        meta = self._contents.find(str(message.get("key")))
        self._cache.refresh_once(meta.key)
        return _done(f"the next such call in this session is made anew: {meta.key[:8]}")

    def _act(self, message: dict[str, Any]) -> dict[str, Any]:
        return _done(ACTIONS[message["type"]](self._contents, message))

    def _would_clear(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"type": "would clear", "text": would_clear(self._contents)}

    def _mode(self, message: dict[str, Any]) -> dict[str, Any]:
        mode = checked_mode(str(message.get("mode")))
        self._cache.switch(replace(self._cache.settings, mode=mode))
        return _done(f"the mode is {mode}")


def _provider(stats: Stats) -> dict[str, str]:
    """What the providers' own prompt caches saved, where there is such a number: only then it is shown."""
    money = saved_by_provider(stats)
    text = "its prompt cache cost more to write than it saved" if money.usd < 0 else "by its own prompt cache"
    note = " · ".join(filter(None, (text, provider_note(money))))
    return {"provider_saved": usd_text(money.usd), "provider_note": note} if money.usd else {}


def _sums(contents: Contents, which: Filter) -> tuple[int, str]:
    """How many entries these are, and how large; empty if it would take longer to find that out than to find the entries."""
    if which.words and (total := contents.number_of(which)) > _SUMMED:
        return total, ""
    totals = contents.totals_of(which)
    return totals.entries, bytes_text(totals.size_bytes)


def _sendable(value: Any) -> Any:
    """`value` as JSON can carry it: a lone surrogate becomes a question mark."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {name: _sendable(item) for name, item in value.items()}
    return list(map(_sendable, value)) if isinstance(value, list | tuple) else value


def _done(text: str) -> dict[str, Any]:
    return {"type": "done", "text": text}
