"""`%config NBCache` and `c.NBCache` in `ipython_config.py`: the settings, each with its help."""

import os
from collections.abc import Callable  # noqa: TC003 - traitlets reads annotations
from pathlib import Path
from typing import Any

from traitlets import Int, List, TraitError, Unicode, observe, validate
from traitlets.config import Configurable

from nbcache import identity, modes, session
from nbcache.ignored import ignore_also
from nbcache.modes import Settings
from nbcache.units import count, seconds, size


class NBCache(Configurable):
    """Settings of the cache. The environment (`NBCACHE_…`) overrides them, and `%llmcache` both."""

    mode = Unicode("on", help="on, off, read-only or refresh").tag(config=True)
    ttl = Unicode(None, allow_none=True, help="How long new answers are kept: 90s, 12h, 7d. None: for good").tag(
        config=True
    )
    tags = List(Unicode(), help="Tags that new entries get").tag(config=True)
    scope = Unicode("notebook", help="Whose entries are shown and cleared: this notebook's, or the whole folder's").tag(
        config=True
    )
    store = Unicode(
        None,
        allow_none=True,
        help="A folder, disk:///path, memory:// or user. None: the .nbcache folder found from here",
    ).tag(config=True)
    max_size = Unicode(None, allow_none=True, help="How much is kept, least recently used first: 500MB, 2GB").tag(
        config=True
    )
    max_entries = Int(None, allow_none=True, help="How many entries are kept, least recently used first").tag(
        config=True
    )
    ignore = List(
        Unicode(), help="Names of more parameters and HTTP headers that can't change an answer, such as X-My-Trace"
    ).tag(config=True)

    _notebook: Path | None = None

    def install(self, notebook: Path | None = None) -> None:
        """Turn the cache on with these settings, but for those that the environment gives. Raises ValueError."""
        self._notebook = notebook or self._notebook
        self._ignore()
        given: dict[str, Any] = {
            "mode": self.mode,
            "ttl": self.ttl,
            "tags": self.tags,
            "scope": self.scope,
            "store": self.store,
            "max_bytes": self.max_size,
            "max_entries": self.max_entries,
        }
        wanted = {name: value for name, value in given.items() if f"NBCACHE_{name.upper()}" not in os.environ}
        session.install(notebook=self._notebook, **wanted)

    @validate("mode", "ttl", "tags", "scope", "max_size", "max_entries")
    def _checked(self, proposal: Any) -> Any:
        checks: dict[str, Callable[[Any], object]] = {
            "mode": modes.checked_mode,
            "ttl": seconds,
            "tags": lambda value: modes.settings(tags=value),
            "scope": _checked_scope,
            "max_size": size,
            "max_entries": count,
        }
        try:
            if proposal["value"] is not None:
                checks[proposal["trait"].name](proposal["value"])
        except ValueError as error:
            raise TraitError(str(error)) from None
        return proposal["value"]

    @observe("mode", "ttl", "tags")
    def _switch(self, _: Any) -> None:
        if session.is_installed():
            session.installed().switch(Settings(self.mode, seconds(self.ttl), tuple(self.tags)))

    @observe("scope", "store", "max_size", "max_entries")
    def _reinstall(self, _: Any) -> None:
        if session.is_installed():
            self.install()

    @observe("ignore")
    def _ignore(self, _: Any = None) -> None:
        ignore_also(self.ignore)
        identity.forget()


def _checked_scope(scope: str) -> None:
    if scope not in {"notebook", "folder"}:
        raise ValueError(f"scope={scope!r}: write notebook or folder")
