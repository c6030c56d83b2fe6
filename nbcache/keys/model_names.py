"""What a model is called."""

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel

from nbcache.keys.request import Request

MODEL_NAMES = ("model", "model_name", "model_id", "modelId", "deployment_name", "azure_deployment", "repo_id")


def name_in(params: Mapping[str, Any], default: str) -> str:
    """The model's name among these parameters, or `default`."""
    return next((str(params[name]) for name in MODEL_NAMES if isinstance(params.get(name), str)), default)


def model_name(model: BaseLanguageModel[Any]) -> str:
    """The name of a model: that of its class where it has none of its own."""
    return name_in(model.__dict__, type(model).__qualname__)


def model_names(call: Request) -> list[str]:
    """All names by which a user may refer to the model of a call: its own and its class's."""
    if call.model is None:
        return [] if call.identity is None else [call.identity.model]
    sources = (call.options, call.model.__dict__)
    names = [params[name] for params in sources for name in MODEL_NAMES if isinstance(params.get(name), str)]
    return [*names, type(call.model).__qualname__]
