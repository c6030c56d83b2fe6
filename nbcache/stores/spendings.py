"""The statements on the lifetime ledger: rows are added and summed up, and nothing deletes them."""

from collections.abc import Iterable
from decimal import Decimal

from nbcache.entry import Spending
from nbcache.stores.sql import Execute, dollars, pico, written

_COUNTS = ("unpriced_hits", "unpriced_misses", "estimated_hits", "estimated_misses")
_SUMS = ", ".join(f"sum({name})" for name in ("hits", "misses", "spent", "saved", "saved_seconds", *_COUNTS))


def record(sql: Execute, rows: Iterable[Spending]) -> None:
    """Add rows. Those of one execution may come in several parts."""
    for row in rows:
        sql(
            "INSERT INTO spending (session, execution, began, notebook, cell, model, hits, misses, spent, saved,"
            f" saved_seconds, {', '.join(_COUNTS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(row.session, row.execution, row.when, row.notebook and written(row.notebook)),
                *(row.cell and written(row.cell), written(row.model), row.hits, row.misses),
                *(pico(row.spent_usd), pico(row.saved_usd), row.saved_seconds),
                *(getattr(row, name) for name in _COUNTS),
            ),
        )


def read(sql: Execute, notebook: str | None) -> list[Spending]:
    """A row for each model in each execution of a cell, oldest first; of one notebook, or of all."""
    where, values = ("WHERE notebook = ?", [written(notebook)]) if notebook is not None else ("", [])
    rows = sql(
        f"SELECT session, execution, min(began), notebook, cell, model, {_SUMS} FROM spending {where}"
        " GROUP BY session, execution, notebook, cell, model ORDER BY min(began), min(id)",
        values,
    )
    return [
        Spending(*[*row[:8], dollars(row[8]) or Decimal(0), dollars(row[9]) or Decimal(0), *row[10:]]) for row in rows
    ]
