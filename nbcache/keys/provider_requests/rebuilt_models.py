"""Models made anew from settings that were written down, to be asked what they would send now."""

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel

from nbcache.keys.canonical import canonical


def rebuilt(
    package: str, name: str, settings: Mapping[str, Any], others: Mapping[str, Any]
) -> BaseLanguageModel[Any] | None:
    """A model of the class `name` of `package` with these settings. None where the class has changed one of them.

    `others` are arguments that it may change, such as a stand-in for a key. Raises whatever the class raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: BaseLanguageModel[Any] = getattr(import_module(package), name)(**{**settings, **others})
    fields = model.__dict__
    for setting in settings.keys() & fields.keys():
        value = settings[setting]
        if fields[setting] != value and canonical(fields[setting]) != canonical(value):
            return None  # but a tuple is what was written as a list
        if isinstance(value, int | float):
            fields[setting] = value  # a default of 1 stays one; given to the class it has become 1.0
    return model
