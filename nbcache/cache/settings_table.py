"""The one table of settings. Signatures, `%config NBCache`, environment variables and the docs' table are made from it.

A new setting is a field of `Configuration` here, and its use in `NotebookCache`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from nbcache.cache import modes
from nbcache.cache.setting_field import Setting, settings_of
from nbcache.costs.price_lookup import Prices
from nbcache.entry.durations_and_sizes import count, dollars, seconds, size
from nbcache.keys.api_names import ALL, checked_clients
from nbcache.keys.prompt import Normalize
from nbcache.stores.base import Store
from nbcache.stores.location import checked_path
from nbcache.stores.opening import Place, open_store

Normalizer = str | Iterable[str] | Normalize
GivenTTLs = Mapping[str, float | str | timedelta | None]
ShouldStore = Callable[[Any], bool]
_Texts = str | Iterable[str]
_EVICTED = "The least recently used are evicted first. Without it there is no bound"


def _store(place: Place) -> Place:
    if not isinstance(place, Store):
        open_store(place, own_folder=Path)  # it is found when the store is opened
    return place


def _memory(given: int) -> int:
    if not isinstance(given, int) or given < 0:
        raise ValueError(f"memory={given!r}: write a whole number; 0 keeps none")
    return given


def _prices(given: Prices | Mapping[str, Mapping[str, Any]]) -> Prices:
    return given if isinstance(given, Prices) else Prices(given)


def _rule(name: str, given: Any) -> Any:
    from nbcache.cache.user_rules import Rules  # noqa: PLC0415 - LangChain takes a second to import

    return getattr(Rules(**{name: given}), name)


def _ttl_rules(given: GivenTTLs) -> dict[str, float | None]:
    if given == {}:
        return {}
    from nbcache.cache.ttl_rules import checked_rules  # noqa: PLC0415 - few have rules

    return checked_rules(given)


def _ttl_rules_in(text: str) -> Any:
    from nbcache.cache.ttl_rules import rules_from_text  # noqa: PLC0415 - as above

    return rules_from_text(text)


def _secrets(given: _Texts) -> tuple[str, ...]:
    if given in ((), []):
        return ()
    from nbcache.replay.secrets.scrubber import Scrubber  # noqa: PLC0415 - few have patterns of their own

    try:
        return Scrubber(given).patterns
    except ValueError as error:
        raise ValueError(f"secrets: {error}") from None


def _comma_separated(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


@dataclass(frozen=True, eq=False, repr=False)
class Configuration:
    """The settings of a cache: given as they are typed, and read as they were checked. Raises ValueError."""

    store: Setting[Place | None, Place | None] = Setting(
        _store,
        "where entries are kept: a folder, `disk:///path`, `memory://`, `redis://host:6379/0`, a Store object, or `user`, "
        "one store for all your notebooks (`NotebookCache(…)` takes that for a folder). Several are tiers, the nearest first: a "
        "list, or text with a comma and a space between them; `:ro` at the end of one means that it is only read. Without it, and "
        "with `disk`: the folder that `NBCACHE_DIR` names, else the nearest `.nbcache` folder upward from the notebook",
        kind="object",
        from_text=str,
    )
    _: KW_ONLY
    scope: Setting[str | None, str] = Setting(
        modes.checked_scope,
        "whose entries are counted, shown and cleared: this `notebook`'s, or the whole `folder`'s (`store` says the same)",
        default=modes.NOTEBOOK,
        kind="text",
        from_text=str,
    )
    mode: Setting[str | None, str] = Setting(
        modes.checked_mode,
        "`on`, `off`, `read-only`, `refresh` or `replay`. `NBCACHE_MODE=replay` cannot be overridden",
        default=modes.ON,
        kind="text",
        from_text=str,
    )
    ttl: Setting[float | str | timedelta | None, float | None] = Setting(
        seconds,
        "how long new answers are kept: seconds, or text such as `90s`, `12h`, `7d`. Without it they never expire",
        kind="text",
        from_text=str,
    )
    ttl_rules: Setting[GivenTTLs | None, dict[str, float | None] | None] = Setting(
        _ttl_rules,
        "how long new answers are kept by model, tag, function or chain: `{'gpt-4o*': '7d', 'tag:news': '1h', "
        "'function:judge': '30d', 'run:draft': 'none'}`. The first rule that matches holds, before `ttl`; `none` is no TTL. In "
        "the environment a JSON object",
        kind="mapping",
        from_text=_ttl_rules_in,
    )
    max_bytes: Setting[float | str | None, int | None] = Setting(
        size,
        f"how many bytes of answers are kept: a number, or text such as `500MB`, `2GB`. {_EVICTED}",
        kind="text",
        config="max_size",
        from_text=str,
    )
    max_entries: Setting[int | None, int | None] = Setting(
        count, f"how many entries are kept. {_EVICTED}", kind="number", from_text=str
    )
    tags: Setting[_Texts | None, tuple[str, ...]] = Setting(
        lambda given: modes.settings(tags=given).tags,
        "tags of new entries; in the environment separated by commas",
        default=(),
        kind="texts",
        from_text=_comma_separated,
    )
    memory: Setting[int, int] = Setting(
        _memory, "how many decoded answers are kept in memory, beside the store", default=1024
    )
    notebook: Setting[str | Path | None, Path | None] = Setting(
        partial(checked_path, "notebook"),
        "the path of the running notebook. Without it: what Jupyter, VS Code or papermill tells",
        from_text=str,
    )
    prices: Setting[Prices | Mapping[str, Mapping[str, Any]] | None, Prices | None] = Setting(
        _prices,
        "your own prices, in US dollars per million tokens: `{'gpt-4o-mini': {'input': 0.15, 'output': 0.6}}`. They come "
        "before the providers' list prices",
        kind="mapping",
    )
    exclude: Setting[_Texts, tuple[str, ...]] = Setting(
        partial(_rule, "exclude"),
        "names of models, APIs, tags and chains (their `run_name`) whose calls are not cached; `*` stands for anything",
        default=(),
        kind="texts",
    )
    normalize: Setting[Normalizer | None, Normalize | None] = Setting(
        partial(_rule, "normalize"),
        "what does not count in a prompt: regular expressions, or a function that gets a text and returns what counts of it",
        kind="object",
    )
    should_store: Setting[ShouldStore | None, ShouldStore | None] = Setting(
        partial(_rule, "should_store"),
        "a function that gets an answer (a message; of a completion model a Generation; each has a `text`) and returns "
        "whether it is stored",
        kind="object",
    )
    min_seconds: Setting[float | str | timedelta | None, float | None] = Setting(
        partial(seconds, name="min_seconds"),
        "keep only answers that took at least so long, or that reach `min_usd`: seconds, or text such as `90s`. A time that "
        "isn't known is enough",
        kind="object",
        from_text=str,
    )
    min_usd: Setting[float | str | Decimal | None, Decimal | None] = Setting(
        dollars,
        "keep only answers that cost at least so much, in US dollars, or that reach `min_seconds`. A price that isn't known "
        "is enough",
        kind="object",
        from_text=str,
    )
    cassette: Setting[str | Path | None, Path | None] = Setting(
        partial(checked_path, "cassette"),
        "the file of recorded answers, which `replay` plays and `export` writes. Without it: the one beside the notebook. "
        "If there is none, `replay` plays what the store has",
        from_text=str,
    )
    clients: Setting[_Texts, tuple[str, ...]] = Setting(
        checked_clients,
        "whose calls are cached besides LangChain's: `all`, only `langchain`, or names of APIs, such as `openai`, whatever "
        "library makes the call. In the environment separated by commas",
        default=(ALL,),
        kind="texts",
        from_text=_comma_separated,
    )
    secrets: Setting[_Texts, tuple[str, ...]] = Setting(
        _secrets,
        "regular expressions of what is not written into a cassette, besides keys, tokens and passwords",
        default=(),
        kind="texts",
    )


class ProcessSettings:
    """The settings that hold for the whole process, and so are no arguments of a cache."""

    ignore: Setting[_Texts, tuple[str, ...]] = Setting(
        tuple,
        "names and paths of parameters and HTTP headers that can't change an answer, such as `X-My-Trace`",
        default=(),
        kind="texts",
    )
    finish_reasons: Setting[_Texts, tuple[str, ...]] = Setting(
        tuple,
        "finish reasons that end an answer well, besides those that nbcache knows. Such answers are hits",
        default=(),
        kind="texts",
    )
    footer: Setting[bool, bool] = Setting(
        bool, "print a line under each cell that called a model: what it paid and saved", default=False, kind="flag"
    )
    dir: Setting[str | None, str | None] = Setting(
        str, "the folder of the store, where `store` is not set", from_text=str
    )


SETTINGS = (*settings_of(Configuration), *settings_of(ProcessSettings))
