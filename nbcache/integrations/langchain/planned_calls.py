"""A call of a model as it would be looked up, without making it: as LangChain's `invoke` hands it to a cache."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel, BaseLLM, chat_models
from langchain_core.load import dumps
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import merge_configs

from nbcache.cache.call import Call
from nbcache.integrations.langchain.models import call_with_config


class PlannedModel:
    """A model, with the options and the config that are bound to it (`bind_tools`, `with_config` and the like)."""

    def __init__(
        self, model: BaseChatModel | BaseLLM, options: Mapping[str, Any], config: RunnableConfig, *, is_async: bool
    ) -> None:
        self._model = model
        self._options = options
        self._config = config
        self._is_async = is_async

    @classmethod
    def of(cls, runnable: Any, *, is_async: bool) -> "PlannedModel | None":
        """The model that `runnable` is. None if it is something else, such as a chain."""
        options: Mapping[str, Any] = {}
        config: RunnableConfig = {}
        while isinstance(runnable, RunnableBindingBase):
            options = {**runnable.kwargs, **options}
            config = merge_configs(runnable.config, config)
            runnable = runnable.bound
        if not isinstance(runnable, BaseChatModel | BaseLLM):
            return None
        return cls(runnable, options, config, is_async=is_async)

    def call(
        self, given: Any, config: RunnableConfig | None = None, *, stop: list[str] | None = None, **options: Any
    ) -> tuple[str, str, Call]:
        """The prompt and the `llm_string` of `invoke` with these arguments, and its call. Raises what LangChain does."""
        model = self._model
        whole = ensure_config(merge_configs(self._config, config))
        options = {**self._options, **options}
        stop = options.pop("stop", None) if stop is None else stop
        call = call_with_config(model, whole, stop, options, is_async=self._is_async)
        value = model._convert_input(given)  # noqa: SLF001 - as `invoke` does
        if isinstance(model, BaseChatModel):
            call.messages = _normalized(value.to_messages())
            prompt = dumps([message.model_copy(update={"id": None}) for message in call.messages])
            return prompt, model._get_llm_string(stop=stop, **call.options), call  # noqa: SLF001 - as above
        return value.to_string(), _llm_string(model, stop), call


def _normalized(messages: list[Any]) -> list[Any]:
    """The messages as LangChain rewrites them before it looks them up, if this release does."""
    normalize = getattr(chat_models, "_normalize_messages", None)
    return messages if normalize is None else normalize(messages)


def _llm_string(model: BaseLLM, stop: Sequence[str] | None) -> str:
    """What LangChain tells a cache of a model of texts."""
    write = getattr(model, "_dict_for_compat", None) or model.dict
    return str(sorted({**write(), "stop": stop}.items()))
