"""The statements on what the last sessions of each notebook called: keys and prices, and no text."""

from typing import TYPE_CHECKING

from nbcache.stores.sqlite.sql import Execute, dollars, moment, pico, text, whole, written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbcache.entry.records import SessionCall

TABLE = (
    "CREATE TABLE IF NOT EXISTS called (notebook TEXT NOT NULL, session TEXT NOT NULL, key TEXT NOT NULL,"
    " model TEXT NOT NULL, calls INTEGER, usd INTEGER, estimated INTEGER, last REAL,"
    " PRIMARY KEY (notebook, session, key, model)) WITHOUT ROWID"
)
_UNPRICED = " "  # in place of a key: the calls without a key whose price isn't known
_MADE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'called'"  # stores of before 0.4 have none
_SESSIONS = "SELECT session FROM called WHERE notebook = ?1 GROUP BY session ORDER BY max(last) DESC"


def record(sql: Execute, session: str, notebook: str | None, calls: "Iterable[SessionCall]") -> None:
    """Record calls of a session; a key replaces its earlier row. Within a transaction."""
    sql(TABLE)
    of = written(notebook or "")
    for call in calls:
        parts = [(call.key, call.calls - call.unpriced, pico(call.usd), call.estimated)]
        if not call.key:
            parts.append((_UNPRICED, call.unpriced, None, False))
        for key, number, usd, estimated in parts:
            sql(
                "INSERT OR REPLACE INTO called (notebook, session, key, model, calls, usd, estimated, last)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (of, session, key, written(call.model), number, usd, estimated, call.when),
            )
    sql(f"DELETE FROM called WHERE notebook = ?1 AND session NOT IN ({_SESSIONS} LIMIT 2)", (of,))


def read(sql: Execute, notebook: str | None, but: str | None) -> "list[SessionCall]":
    """What the last session of a notebook called, other than the session `but`, in the order of the calls."""
    from nbcache.entry.records import SessionCall  # noqa: PLC0415 - the first call of a kernel needs no records

    if sql(_MADE).fetchone() is None:
        return []
    of = written(notebook or "")
    sessions = [session for (session,) in sql(_SESSIONS, (of,)) if session != but]
    rows = sql(
        "SELECT key, model, calls, usd, estimated, last FROM called WHERE notebook = ? AND session = ? AND calls"
        " ORDER BY last, key",
        (of, sessions[0] if sessions else ""),
    )
    return [
        SessionCall(
            text(key).strip(), text(model), whole(calls) or 0, dollars(usd), bool(estimated), moment(when) or 0.0
        )
        for key, model, calls, usd, estimated, when in rows
    ]


def rename(sql: Execute, notebook: str, new: str) -> None:
    """Move a notebook's sessions to its new name. Within a transaction."""
    if sql(_MADE).fetchone() is not None:
        sql("UPDATE OR REPLACE called SET notebook = ? WHERE notebook = ?", (written(new), written(notebook)))
