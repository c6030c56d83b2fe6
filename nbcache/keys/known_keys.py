"""Keys of calls without the texts that LangChain writes of prompt and model: to write them takes longer than all else of a hit.

The key is the same, byte for byte, as that of `key.call_key`: the model is one whose identity is remembered and which has
not changed since, and the prompt's part of the request is built from the messages by the same function.
"""

from nbcache.keys.identity import unchanged_identity
from nbcache.keys.key import SENT, key_of_parts
from nbcache.keys.provider_requests import message_parts
from nbcache.keys.provider_requests.message_parts import contents_of
from nbcache.keys.provider_requests.provider_families import family_of
from nbcache.keys.provider_requests.request_parts import RequestSettings, may_fetch
from nbcache.keys.request import Request

_MOST, _LONGEST = 1024, 10_000  # keys, and bytes of a prompt
# By what the messages consist of, the identity's document, the endpoint and the settings of the request.
_keys: dict[tuple[bytes, bytes, str, RequestSettings], str] = {}


def known_key(call: Request) -> str | None:
    """The key of a call of a chat model, first sample. None if it takes `call_key` to tell it. Raises what the class raises."""
    cls: type = type(call.model)
    if not call.messages or family_of(cls) is None:
        return None
    identity = unchanged_identity(call)
    if identity is None or identity.request_settings is None:
        return None
    contents = contents_of(call.messages)
    if contents is None:
        return None
    settings = identity.request_settings
    is_long = sum(map(len, contents)) > _LONGEST
    parts = (b"" if is_long else b"".join(contents), identity.document, identity.endpoint, settings)
    if not is_long and (key := _keys.get(parts)) is not None:
        return key
    if may_fetch(settings.family, contents):
        return None
    part = settings.prompt_part(call.langchain_model(), call.messages, call.stop, call.options, contents)
    key = key_of_parts(SENT + part, identity.document, identity.endpoint)
    if not is_long:
        if len(_keys) >= _MOST:
            _keys.clear()
        _keys[parts] = key
    return key


def forget() -> None:
    """Compute each key anew."""
    _keys.clear()
    message_parts.forget()
