"""Settings in the environment: `NBCACHE_MODE` and its siblings."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from nbcache.cache.modes import MODES
from nbcache.cache.setting_field import Setting
from nbcache.cache.settings_table import SETTINGS
from nbcache.errors import warn_once
from nbcache.stores.location import BLOCK_NETWORK, NETWORK_DRIVE, OWNER, REDIS_PASSWORD, REPORT, SECRET

_PREFIX = "NBCACHE_"
_CLOSE = 0.7  # similarity of two names, from 0 to 1, from which on one may be a misspelling of the other


def with_environment(given: Mapping[str, Any], settings: Iterable[Setting[Any, Any]]) -> dict[str, Any]:
    """The given values, completed by the environment's for those of `settings` that are missing or None.

    Raises ValueError, naming the variable.
    """
    missing = {setting.name: from_environment(setting) for setting in settings if given.get(setting.name) is None}
    return {**given, **missing}


def from_environment(setting: Setting[Any, Any]) -> Any:
    """The checked value in the environment. None if there is none. Raises ValueError, naming the variable."""
    if setting.from_text is None or not is_in_environment(setting):
        return None
    try:
        return setting.check(setting.from_text(os.environ[setting.variable or ""]))
    except ValueError as error:
        raise ValueError(f"{setting.variable} in the environment: {error}") from None


def is_in_environment(setting: Setting[Any, Any]) -> bool:
    """Whether the environment has a value, and not an empty one."""
    return setting.variable is not None and bool(os.environ.get(setting.variable))


def misspelt() -> dict[str, str]:
    """The variables that look like settings but are none, each with what to write instead."""
    settings = {setting.variable.removeprefix(_PREFIX) for setting in SETTINGS if setting.variable is not None}
    settings |= {
        name.removeprefix(_PREFIX) for name in (BLOCK_NETWORK, NETWORK_DRIVE, OWNER, REDIS_PASSWORD, REPORT, SECRET)
    }
    advices: dict[str, str] = {}
    for variable in os.environ:
        name = variable.upper().replace("-", "_")
        for prefix in (_PREFIX, "NB_CACHE_", "NBCACHE"):
            if name.startswith(prefix):
                name = name.removeprefix(prefix)
                break
        else:
            continue
        if variable != _PREFIX + name or name not in settings:
            import difflib  # noqa: PLC0415 - few need it

            close = difflib.get_close_matches(name, settings, 1, _CLOSE)
            advice = _other_names().get(name) or (f"write {_PREFIX}{close[0]}" if close else "")
            advices |= {variable: advice} if advice else {}
    return advices


def _other_names() -> dict[str, str]:
    """What to write instead of a mode's name, and of a setting that has another variable, or none."""
    advices = {mode.replace("-", "_").upper(): f"write NBCACHE_MODE={mode}" for mode in MODES}
    for setting in SETTINGS:
        if setting.config is not None and setting.variable != (variable := setting.config.upper()):
            here = (
                f"write {setting.variable}"
                if setting.variable
                else f"in a notebook type `%config NBCache.{setting.config} = …`"
            )
            advices[variable] = here
    return advices


def warn_of_misspelt() -> None:
    """Warn once of each variable that looks like a setting but is none. Never raises."""
    for variable, advice in misspelt().items():
        warn_once(f"misspelt {variable}", f"nbcache: {variable} in the environment is no setting: {advice}")
