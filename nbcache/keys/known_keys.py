"""Keys of calls without the texts that LangChain writes of prompt and model: to write them takes longer than all else of a hit.

The key is the same, byte for byte, as that of `key.call_key`: the model is one whose identity is remembered and which has
not changed since, and the prompt's part of the request is built from the messages by the same function.
"""

import marshal
from collections.abc import Sequence

from langchain_core.messages import BaseMessage

from nbcache.keys.identity import unchanged_identity
from nbcache.keys.key import SENT, key_of_parts
from nbcache.keys.message_classes import MESSAGES
from nbcache.keys.provider_requests.provider_families import family_of
from nbcache.keys.provider_requests.request_parts import RequestSettings, may_fetch
from nbcache.keys.request import Request

_MOST, _LONGEST = 1024, 10_000  # keys, and bytes of a prompt
_NAMES = {cls: name for name, cls in MESSAGES.items()}
# By the messages, the identity's document, the endpoint and the settings of the request.
_keys: dict[tuple[bytes, bytes, str, RequestSettings], str] = {}


def known_key(call: Request) -> str | None:
    """The key of a call of a chat model, first sample. None if it takes `call_key` to tell it. Raises what the class raises."""
    cls: type = type(call.model)
    if not call.messages or family_of(cls) is None:
        return None
    identity = unchanged_identity(call)
    if identity is None or identity.request_settings is None:
        return None
    content = _content_of(call.messages)
    if content is None:
        return None
    settings = identity.request_settings
    parts = (content, identity.document, identity.endpoint, settings)
    key = _keys.get(parts)
    if key is None:
        if may_fetch(settings.family, content):
            return None
        prompt = SENT + settings.prompt_part(call.langchain_model(), call.messages, call.stop, call.options)
        key = key_of_parts(prompt, identity.document, identity.endpoint)
        if len(content) <= _LONGEST:
            if len(_keys) >= _MOST:
                _keys.clear()
            _keys[parts] = key
    return key


def _content_of(messages: Sequence[BaseMessage]) -> bytes | None:
    """All that messages consist of but their ids, exactly. None for classes of the user's own, or where an object is in one.

    `marshal` writes values of Python's own types alone, and each type in its own way; its version 0 writes equal values
    alike. The bytes never leave this process.
    """
    contents = []
    for message in messages:
        name, fields = _NAMES.get(type(message)), message.__dict__
        if name is None or message.__pydantic_extra__:
            return None
        contents.append((name, fields if fields.get("id") is None else {**fields, "id": None}))
    try:
        return marshal.dumps(contents, 0)
    except ValueError:  # an object of another type
        return None


def forget() -> None:
    """Compute each key anew."""
    _keys.clear()
