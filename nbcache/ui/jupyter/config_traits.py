"""`%config NBCache` and `c.NBCache` in `ipython_config.py`: a trait for each setting that can be set there."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Int, List, TraitError, TraitType, Unicode, observe, validate
from traitlets.config import Config, Configurable

from nbcache.cache.setting_field import Kind, Setting, settings_of
from nbcache.cache.settings_table import SETTINGS, Configuration
from nbcache.entry.finish_reasons import good_also
from nbcache.keys import identity
from nbcache.keys.ignored.langchain_parameters import ignore_also
from nbcache.session import installation
from nbcache.session.environment import is_in_environment

_TRAITS: dict[Kind, Callable[..., "TraitType[Any, Any]"]] = {
    "text": Unicode,
    "texts": lambda default, **options: List(Unicode(), list(default), **options),
    "number": Int,
    "mapping": lambda _, **options: Dict(**options),
    "object": AnyTrait,
    "flag": Bool,
}
_SWITCHED = ("mode", "ttl", "tags")  # they hold from the next call on, without another cache


def traits(settings: Iterable[Setting[Any, Any]]) -> dict[str, "TraitType[Any, Any]"]:
    """A trait for each setting that can be set in `%config`, by its name there."""
    return {
        setting.config: _TRAITS[setting.kind](
            setting.default,
            allow_none=setting.default is None,
            help=setting.help[0].upper() + setting.help[1:],
        ).tag(config=True)
        for setting in settings
        if setting.config is not None and setting.kind is not None
    }


_ARGUMENTS = {setting.config: setting for setting in settings_of(Configuration) if setting.config is not None}


class NBCache(Configurable):
    """Settings of the cache. The environment (`NBCACHE_…`) overrides them, and `%llmcache` both."""

    ignore: list[str]
    finish_reasons: list[str]
    footer: bool
    locals().update(traits(SETTINGS))

    _notebook: Path | None = None

    def install(self, notebook: Path | None = None) -> None:
        """Turn the cache on with these settings, but for those that the environment gives. Raises ValueError."""
        self._notebook = notebook or self._notebook
        self._ignore()
        self._good_reasons()
        given = {
            setting.name: getattr(self, name) for name, setting in _ARGUMENTS.items() if not is_in_environment(setting)
        }
        installation.install(notebook=self._notebook, **given)

    def update_config(self, config: Config) -> None:
        """Set what `%config` sets. A value that is refused is forgotten everywhere."""
        from nbcache.ui.jupyter.arguments import refuse_password  # noqa: PLC0415 - `%load_ext` needs no parsers

        before = {name: getattr(self, name) for name in self.trait_names(config=True)}
        try:
            refuse_password(config["NBCache"].get("store"))
            super().update_config(config)
        except Exception:
            self._trait_values.update(before)
            # `%config` gives each value to the shell, too, before or after this, by the names of the classes. The next
            # `%load_ext` takes the settings from there.
            for each in (config, *([] if self.parent is None else [self.parent.config])):
                each["NBCache"] = deepcopy(self.config["NBCache"])
            raise

    @classmethod
    def forget_refused(cls, config: Config) -> list[str]:
        """Delete the settings from `config` that have a wrong value. Returns their names."""
        refused = []
        for name in set(config["NBCache"]) & set(cls.class_trait_names(config=True)):
            trial = cls()
            trial.unobserve_all()  # nothing is switched by it
            try:
                Configurable.update_config(trial, Config({"NBCache": {name: config["NBCache"][name]}}))
            except TraitError:
                del config["NBCache"][name]
                refused.append(name)
        return sorted(refused)

    @validate(*_ARGUMENTS)
    def _checked(self, proposal: Any) -> Any:
        try:
            if proposal["value"] is not None:
                _ARGUMENTS[proposal["trait"].name].check(proposal["value"])
        except ValueError as error:
            raise TraitError(str(error)) from None
        return proposal["value"]

    @observe(*_ARGUMENTS)
    def _apply(self, change: Any) -> None:
        setting = _ARGUMENTS[change.name]
        if not installation.is_installed() or is_in_environment(setting):
            return
        if setting.name in _SWITCHED:
            cache = installation.installed()
            value = getattr(Configuration(**{setting.name: change.new}), setting.name)
            cache.switch(replace(cache.settings, **{setting.name: value}))
        else:
            installation.reinstall(**{setting.name: change.new})

    @observe("finish_reasons")
    def _good_reasons(self, _: Any = None) -> None:
        good_also(self.finish_reasons)

    @observe("ignore")
    def _ignore(self, _: Any = None) -> None:
        ignore_also(self.ignore)
        identity.forget()
