"""The canonical forms of LangChain's models and messages.

A model counts as it does in the key of its own calls. One that is configurable counts by what the run configures of it, too. The id of an AI message is another one each time its call is repeated,
also from the cache. It counts only where the function's code may read it.
"""

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from nbcache.errors import UnstableIdentityError
from nbcache.keys.functions.libraries import releases_of
from nbcache.keys.functions.library_functions import content_of
from nbcache.keys.functions.module_names import function_name
from nbcache.keys.functions.plain_kinds import digest_of
from nbcache.keys.usercode.not_canonical import NotCanonicalError
from nbcache.keys.usercode.origin import is_users_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbcache.keys.functions.values import Values
    from nbcache.keys.request import Identity


def langchain_form(values: "Values", value: Any) -> Any:
    """The form of a model or message of LangChain's. None for all else. Raises NotCanonicalError."""
    core = sys.modules
    models, embeddings = core.get("langchain_core.language_models"), core.get("langchain_core.embeddings")
    if models is not None and isinstance(value, models.BaseLanguageModel):
        return {"!model": _identified(_model_identity, value)}
    if embeddings is not None and isinstance(value, embeddings.Embeddings):
        return {"!embeddings": _identified(_embedder_identity, value)}
    messages = core.get("langchain_core.messages")
    if messages is not None and isinstance(value, messages.BaseMessage):
        return _message(values, value, messages)
    tools = core.get("langchain_core.tools")
    if tools is not None and isinstance(value, tools.BaseTool):
        return _tool(values, value)
    if (reads := _configurable_names(value)) is not None:
        held = values.attributes(value.__dict__)
        return {"!configurable": [values.name(type(value)), held, values.form(_configured_now(reads))]}
    return None


def _configurable_names(runnable: Any) -> "Callable[[str], bool] | None":
    """Which names of a run's configuration a configurable model reads. None for any other runnable."""
    configurable = sys.modules.get("langchain_core.runnables.configurable")
    if configurable is not None and isinstance(runnable, configurable.DynamicRunnable):
        return {spec.id for spec in runnable.config_specs}.__contains__
    prefix = getattr(runnable, "_config_prefix", None)  # of `init_chat_model`
    return None if type(prefix) is not str else lambda name: name.startswith(prefix)


def _configured_now(reads: "Callable[[str], bool]") -> dict[str, Any]:
    """What the present run configures under the names that a model `reads`."""
    config = sys.modules["langchain_core.runnables.config"].var_child_runnable_config.get() or {}
    return {name: value for name, value in config.get("configurable", {}).items() if reads(name)}


def _identified(identity_of: Any, model: Any) -> list[str]:
    try:
        identity: Identity = identity_of(model)
    except UnstableIdentityError as error:
        raise NotCanonicalError(f"a {type(model).__qualname__} ({error.cause})") from None
    return [identity.model, digest_of(identity.document), identity.endpoint and digest_of(identity.endpoint.encode())]


def _model_identity(model: Any) -> "Identity":
    from langchain_core.language_models import BaseChatModel  # noqa: PLC0415 - loaded by now: there is a model

    from nbcache.keys.identity import identify, unchanged_identity  # noqa: PLC0415 - only who has a model needs it
    from nbcache.keys.request import Request  # noqa: PLC0415

    is_chat = isinstance(model, BaseChatModel)
    request = Request(model=model, is_chat=is_chat)
    if (unchanged := unchanged_identity(request)) is not None:
        return unchanged[1]
    if is_chat:
        llm_string = model._get_llm_string()  # noqa: SLF001 - as LangChain does for each call
    else:
        llm_string = str(sorted((name, item) for name, item in {**model.dict(), "stop": None}.items()))
    return identify(llm_string, request)


def _embedder_identity(model: Any) -> "Identity":
    from nbcache.keys.embedder_identity import embedder_identity  # noqa: PLC0415 - only who has a model needs it

    return embedder_identity(model, "documents", (), {})


def _tool(values: "Values", tool: Any) -> Any:
    from nbcache.keys.functions.tool_code import held_by  # noqa: PLC0415 - only who has a tool needs it

    held: dict[str, Any] = {}
    for name, value in sorted(held_by(tool).items()):
        held[name] = _closure(values, value) if name in {"func", "coroutine"} else values.form(value)
    return {"!tool": [values.name(type(tool)), held]}


def _closure(values: "Values", function: Any) -> Any:
    """A function of a tool. One that a library has made for it counts by what it holds: a retriever, a chain."""
    if type(function) is not FunctionType or is_users_code(function) or "__wrapped__" in function.__dict__:
        return values.form(function)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    module = str(function.__globals__.get("__name__"))
    values.libraries.update(releases_of(module))
    return {"!closure": [function_name(function), {name: values.form(content_of(cell)) for name, cell in cells}]}


def _message(values: "Values", message: Any, messages: Any) -> Any:
    fields = message.__dict__
    if isinstance(message, messages.AIMessage):
        fields = dict(fields)
        if not values.counts_ids:
            fields.pop("id", None)
        usage = fields.get("usage_metadata")
        if isinstance(usage, dict) and usage.get("total_cost") == 0:  # LangChain adds it to a hit (langchain#35308)
            fields["usage_metadata"] = {name: item for name, item in usage.items() if name != "total_cost"} or None
    parts = [values.attributes(fields), values.form(message.__pydantic_extra__ or None)]
    return {"!message": [values.name(type(message)), *parts, values.attributes(message.__pydantic_private__ or {})]}
