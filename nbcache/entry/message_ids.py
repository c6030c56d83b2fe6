"""Ids of messages that are handed out."""

import itertools
import os


def new_id() -> str:
    """A repeated id would make LangGraph's add_messages replace the earlier message (langchain#33883)."""
    return f"{_ids.prefix}{next(_ids.numbers):016x}"


class _Ids:
    """Ids that no other process makes: asking the system for each costs as much as a fifth of a copy."""

    def __init__(self) -> None:
        self.prefix = "lc_run--" + os.urandom(8).hex()
        self.numbers = itertools.count()


_ids = _Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.__init__)  # type: ignore[misc]  # begin anew, with another prefix
