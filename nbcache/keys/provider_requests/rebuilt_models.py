"""Models made from settings that were written down, to build the request that they would send now."""

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel

from nbcache.keys.canonical import canonical


def rebuilt(
    package: str, name: str, settings: Mapping[str, Any], others: Mapping[str, Any]
) -> BaseLanguageModel[Any] | None:
    """A model of the class `name` of `package` with these settings. None if the class has changed one of them.

    `others` are arguments that it may change, such as a placeholder for an API key. Raises whatever the class raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: BaseLanguageModel[Any] = getattr(import_module(package), name)(**{**settings, **others})
    fields = model.__dict__
    for setting in settings.keys() & fields.keys():
        value = settings[setting]
        if fields[setting] != value and canonical(fields[setting]) != canonical(value):
            return None  # equal in canonical form are a tuple and the list as which it was written
        if isinstance(value, int | float):
            fields[setting] = value  # the class may have made 1.0 of 1, which is another value in a key
    return model
