"""The statements on the lifetime ledger: rows are added and summed up, and nothing deletes them."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from nbcache.entry.records import CALL, Spending
from nbcache.stores.sqlite import session_calls
from nbcache.stores.sqlite.sql import Execute, dollars, moment, number, only, pico, text, whole, written

if TYPE_CHECKING:
    from nbcache.stores.sqlite.diskcache_file import CacheFile

# Rows of before 0.5 have no time that somebody would have waited, only what the models took in all: `saved_seconds`.
_COUNTS = (
    *("unpriced_hits", "unpriced_misses", "estimated_hits", "estimated_misses", "charged_hits", "charged_misses"),
    *("partly_priced_hits", "provider_priced_misses"),
)
_PART = 10**6  # money is summed in two parts: SQLite's sums of whole numbers have an end


def _sum(name: str) -> str:
    return f"CAST(total({only('integer', name)}) AS INTEGER)"


def _total(name: str) -> str:
    return f"total({only('real', name)})"


def _parts(name: str) -> str:
    return f"sum({only('integer', name)} / {_PART}), sum({only('integer', name)} % {_PART})"


_BEGAN = f"min({only('real', 'began')})"
_SUMS = ", ".join(
    (
        *(_sum("hits"), _sum("misses"), _parts("spent"), _parts("saved"), _total("waited")),
        *(_total("saved_seconds"), _sum("coalesce(untimed_hits, hits)")),
        # Of earlier misses nobody knows what the providers' own caches saved.
        *(_parts("provider_saved"), _sum("coalesce(provider_unpriced_misses, misses)")),
        *map(_sum, _COUNTS),
    )
)


def record(sql: Execute, rows: Iterable[Spending]) -> None:
    """Add rows. Those of one execution may come in several parts. Within a transaction."""
    for row in rows:
        sql(
            "INSERT INTO spending (session, execution, began, notebook, cell, model, hits, misses, spent, saved, waited,"
            f" {', '.join(_COUNTS)}, saved_seconds, untimed_hits, kind, provider_saved, provider_unpriced_misses)"
            f" VALUES ({', '.join('?' * (16 + len(_COUNTS)))})",
            (
                *(row.session, row.execution, row.when, row.notebook and written(row.notebook)),
                *(row.cell and written(row.cell), written(row.model), row.hits, row.misses),
                *(pico(row.spent_usd), pico(row.saved_usd), row.saved_seconds),
                *(getattr(row, name) for name in _COUNTS),
                *(row.model_seconds, row.untimed_hits, None if row.kind == CALL else row.kind),
                *(pico(row.provider_saved_usd), row.provider_unpriced_misses),
            ),
        )


def read(sql: Execute, notebook: str | None) -> list[Spending]:
    """A row for each model and kind of call in each execution of a cell, oldest first; of one notebook, or of all."""
    where, values = ("WHERE notebook = ?", [written(notebook)]) if notebook is not None else ("", [])
    rows = sql(
        f"SELECT session, execution, {_BEGAN}, notebook, cell, model, kind, {_SUMS} FROM spending {where}"
        " GROUP BY session, execution, notebook, cell, model, kind ORDER BY 3, min(id)",
        values,
    )
    return [_spending(row) for row in rows]


def rename(cache: "CacheFile", notebook: str, new: str) -> None:
    """Move a notebook's rows, and the calls of its sessions, to its new name."""
    with cache.transaction():
        cache.execute("UPDATE spending SET notebook = ? WHERE notebook = ?", (written(new), written(notebook)))
        session_calls.rename(cache.execute, notebook, new)


def _spending(row: tuple[object, ...]) -> Spending:
    session, execution, began, notebook, cell, model, kind, hits, misses = row[:9]
    spent, spent_rest, saved, saved_rest, waited, seconds, untimed, *others = row[9:]
    provider, provider_rest, provider_unpriced, *counts = others
    return Spending(
        session=text(session),
        execution=whole(execution) or 0,
        when=moment(began) or 0.0,
        notebook=None if notebook is None else text(notebook),
        cell=None if cell is None else text(cell),
        model=text(model),
        kind=CALL if kind is None else text(kind),
        hits=whole(hits) or 0,
        misses=whole(misses) or 0,
        spent_usd=_money(spent, spent_rest),
        saved_usd=_money(saved, saved_rest),
        saved_seconds=number(waited) or 0.0,
        model_seconds=number(seconds) or 0.0,
        untimed_hits=whole(untimed) or 0,
        provider_saved_usd=_money(provider, provider_rest),
        provider_unpriced_misses=whole(provider_unpriced) or 0,
        **{name: whole(count) or 0 for name, count in zip(_COUNTS, counts, strict=True)},
    )


def _money(parts: object, rest: object) -> Decimal:
    return dollars((whole(parts) or 0) * _PART + (whole(rest) or 0)) or Decimal(0)
