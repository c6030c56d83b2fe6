"""The user's own rules: what is not cached, what of a prompt doesn't count, what answers are kept."""

import inspect
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from langchain_core.outputs import ChatGeneration, Generation

from nbcache.cache.call import Call
from nbcache.cache.chains import chain_names
from nbcache.cache.settings_table import Configuration, GivenTTLs, Normalizer, ShouldStore
from nbcache.errors import warn_once
from nbcache.keys.model_names import model_names
from nbcache.keys.prompt import Normalize
from nbcache.keys.request import document
from nbcache.stores.entry_costs import asks_a_model

if TYPE_CHECKING:
    from nbcache.entry.records import EntryMeta


class Rules:
    """The rules in the form in which `NotebookCache` takes them. Raises ValueError if one is wrong."""

    def __init__(  # noqa: PLR0913 - one for each setting
        self,
        exclude: str | Iterable[str] = (),
        normalize: Normalizer | None = None,
        should_store: ShouldStore | None = None,
        *,
        min_seconds: float | None = None,
        min_usd: Decimal | None = None,
        ttl_rules: GivenTTLs | None = None,
    ) -> None:
        if not isinstance(exclude, Iterable) or isinstance(exclude, Mapping):
            raise ValueError(f"exclude={exclude!r}: write the names of models, tags or chains")  # noqa: TRY004 - a setting
        self.exclude = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        for name in self.exclude:
            if not isinstance(name, str) or not name.strip():
                raise ValueError(f"exclude={name!r}: write the name of a model, a tag or a chain")
        self.normalize = _normalize(normalize)
        if should_store is not None and (not callable(should_store) or inspect.iscoroutinefunction(should_store)):
            raise ValueError(f"should_store={should_store!r}: give a plain function from an answer to True or False")
        self.should_store = should_store
        self.min_seconds, self.min_usd = min_seconds, min_usd
        self.ttl_rules: dict[str, float | None] = {}
        self.concern_runs = bool(self.exclude)
        if ttl_rules:
            from nbcache.cache.ttl_rules import checked_rules, concern_runs  # noqa: PLC0415 - few have rules

            self.ttl_rules = checked_rules(ttl_rules)
            self.concern_runs = self.concern_runs or concern_runs(self.ttl_rules)

    @classmethod
    def of(cls, configuration: Configuration) -> "Rules":
        """The rules among the settings of a cache."""
        return cls(
            configuration.exclude,
            configuration.normalize,
            configuration.should_store,
            min_seconds=configuration.min_seconds,
            min_usd=configuration.min_usd,
            ttl_rules=configuration.ttl_rules,
        )

    def excludes(self, call: Call) -> bool:
        """Whether `call` is one of those that are not cached."""
        named = (*model_names(call), *call.labels, *chain_names(call.parent))
        names = {name for name in named if isinstance(name, str)}
        return any(fnmatchcase(name, pattern) for pattern in self.exclude for name in names)

    def ttl(self, meta: "EntryMeta", call: Call | None, otherwise: float | None) -> float | None:
        """How long the new entry `meta` of `call` is kept, in seconds: its own TTL, by the first rule for it, or else `otherwise`."""
        if call is not None and call.own is not None and call.own.ttl is not None:
            return None if call.own.ttl == math.inf else call.own.ttl
        if not self.ttl_rules:
            return otherwise
        from nbcache.cache.ttl_rules import FUNCTION, RUN, TAG, first_ttl  # noqa: PLC0415 - as above

        def names(kind: str) -> Iterable[str]:
            if kind == TAG:
                return meta.tags
            if kind == RUN:
                return () if call is None else chain_names(call.parent)
            if kind == FUNCTION:
                return () if meta.function is None else (meta.function,)
            return (meta.model, *(() if call is None else model_names(call)))

        return first_ttl(self.ttl_rules, otherwise, names)

    def want(self, identity: bytes, answer: Sequence[Generation]) -> bool:
        """Whether `should_store` keeps each of these generations, which answer a call with this identity."""
        if self.should_store is None or not asks_a_model(document(identity)):
            return True
        try:
            return all(self.should_store(each.message if isinstance(each, ChatGeneration) else each) for each in answer)
        except Exception as error:  # noqa: BLE001 - the user's own code
            warn_once("should_store", f"nbcache: should_store failed, so an answer is not cached: {error!r}")
            return False


def _normalize(given: Normalizer | None) -> Normalize | None:
    """A single function that does all that is given. Raises ValueError."""
    if given is None or callable(given):
        return given
    try:
        patterns = [given] if isinstance(given, str) else list(given)
        whole = [re.compile(pattern) for pattern in patterns]
    except (re.error, TypeError) as error:
        raise ValueError(f"normalize={given!r}: {error}; give regular expressions, or a function") from None
    return _Patterns(whole) if whole else None


class _Patterns:
    """Removes what the patterns match from a text."""

    def __init__(self, patterns: list[re.Pattern[str]]) -> None:
        self._patterns = patterns

    def __call__(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub("", text)
        return text
