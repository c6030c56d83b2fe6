"""`%config NBCache` and `c.NBCache` in `ipython_config.py`: the settings, each with its help."""

import os
from collections.abc import Callable  # noqa: TC003 - traitlets reads annotations
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Int, List, TraitError, Unicode, observe, validate
from traitlets.config import Configurable

from nbcache.cache import settings as modes
from nbcache.cache.rules import Rules
from nbcache.costs.pricing import Prices
from nbcache.entry.quantities import count, seconds, size
from nbcache.entry.status import good_also
from nbcache.keys import identity
from nbcache.keys.ignored.parameters import ignore_also
from nbcache.replay.secrets.scrubber import Scrubber
from nbcache.session import session
from nbcache.session.environment import SETTINGS
from nbcache.stores.base import open_store

_ARGUMENTS = {"max_size": "max_bytes"}  # what `install` and the environment call it


class NBCache(Configurable):
    """Settings of the cache. The environment (`NBCACHE_…`) overrides them, and `%llmcache` both."""

    mode = Unicode("on", help="on, off, read-only, refresh or replay").tag(config=True)
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
    max_size = Unicode(
        None, allow_none=True, help="How much is kept: 500MB, 2GB. The least recently used is evicted first"
    ).tag(config=True)
    max_entries = Int(
        None, allow_none=True, help="How many entries are kept. The least recently used is evicted first"
    ).tag(config=True)
    ignore = List(
        Unicode(), help="Names of more parameters and HTTP headers that can't change an answer, such as X-My-Trace"
    ).tag(config=True)

    prices = Dict(
        help="Your own prices, in US dollars per million tokens: {'gpt-4o-mini': {'input': 0.15, 'output': 0.6}}"
    ).tag(config=True)
    exclude = List(
        Unicode(), help="Models, tags and chains (by their run_name) whose calls are not cached; * stands for anything"
    ).tag(config=True)
    normalize = AnyTrait(
        None,
        allow_none=True,
        help="What doesn't count in a prompt: regular expressions, or a function from a text to what counts of it",
    ).tag(config=True)
    should_store = AnyTrait(
        None,
        allow_none=True,
        help="A function from an answer (a message, or a Generation: each has a text) to whether it is kept",
    ).tag(config=True)
    finish_reasons = List(
        Unicode(),
        help="Finish reasons that end an answer well, besides those that nbcache knows: such answers are hits",
    ).tag(config=True)
    secrets = List(
        Unicode(), help="Regular expressions of what is not written into a cassette, besides keys, tokens and passwords"
    ).tag(config=True)
    footer = Bool(False, help="Print a line under each cell that called a model: what it paid and saved").tag(
        config=True
    )

    _notebook: Path | None = None

    def install(self, notebook: Path | None = None) -> None:
        """Turn the cache on with these settings, but for those that the environment gives. Raises ValueError."""
        self._notebook = notebook or self._notebook
        self._ignore()
        self._good_reasons()
        names = (
            *("mode", "ttl", "tags", "scope", "store", "max_size", "max_entries", "prices"),
            *("exclude", "normalize", "should_store", "secrets"),
        )
        wanted = {
            _ARGUMENTS.get(name, name): getattr(self, name) for name in names if not self._is_in_environment(name)
        }
        session.install(notebook=self._notebook, **wanted)

    @validate(
        *("mode", "ttl", "tags", "scope", "store", "max_size", "max_entries", "prices"),
        *("exclude", "normalize", "should_store", "secrets"),
    )
    def _checked(self, proposal: Any) -> Any:
        checks: dict[str, Callable[[Any], object]] = {
            "mode": modes.checked_mode,
            "ttl": seconds,
            "tags": lambda value: modes.settings(tags=value),
            "scope": modes.checked_scope,
            "store": open_store,
            "prices": Prices,
            "max_size": size,
            "max_entries": count,
            "exclude": Rules,
            "normalize": lambda value: Rules(normalize=value),
            "should_store": lambda value: Rules(should_store=value),
            "secrets": Scrubber,
        }
        try:
            if proposal["value"] is not None:
                checks[proposal["trait"].name](proposal["value"])
        except ValueError as error:
            raise TraitError(str(error)) from None
        return proposal["value"]

    @observe("mode", "ttl", "tags")
    def _switch(self, change: Any) -> None:
        if session.is_installed() and not self._is_in_environment(change.name):
            kept: dict[str, Any] = {"mode": self.mode, "ttl": seconds(self.ttl), "tags": tuple(self.tags)}
            cache = session.installed()
            cache.switch(replace(cache.settings, **{change.name: kept[change.name]}))

    @observe("scope", "store", "max_size", "max_entries", "prices", "exclude", "normalize", "should_store", "secrets")
    def _reinstall(self, change: Any) -> None:
        if session.is_installed() and not self._is_in_environment(change.name):
            session.reinstall(**{_ARGUMENTS.get(change.name, change.name): change.new})

    @staticmethod
    def _is_in_environment(name: str) -> bool:
        variable = _ARGUMENTS.get(name, name).upper()
        return variable in SETTINGS and bool(os.environ.get(f"NBCACHE_{variable}"))

    @observe("finish_reasons")
    def _good_reasons(self, _: Any = None) -> None:
        good_also(self.finish_reasons)

    @observe("ignore")
    def _ignore(self, _: Any = None) -> None:
        ignore_also(self.ignore)
        identity.forget()
