"""Keys of calls without the texts that LangChain writes of prompt and model: to write them takes longer than all else of a hit.

The key is the same, byte for byte, as that of `key.call_key`: the model is one whose identity is remembered and which has
not changed since, and the prompt's part of the request is built from the messages by the same function.
"""

from typing import NamedTuple

from nbcache.keys.identity import unchanged_identity
from nbcache.keys.key import SENT, CallKey, key_of_parts
from nbcache.keys.llm_string import LLMString
from nbcache.keys.provider_requests import message_parts
from nbcache.keys.provider_requests.message_parts import contents_of
from nbcache.keys.provider_requests.provider_families import family_of
from nbcache.keys.provider_requests.request_parts import RequestSettings, may_fetch
from nbcache.keys.request import Identity, Request

_MOST, _LONGEST = 1024, 10_000  # keys, and bytes of a prompt
# By what the messages consist of, the identity's document, the endpoint and the settings of the request.
_keys: dict[tuple[bytes, bytes, str, RequestSettings], str] = {}


class KnownCall(NamedTuple):
    """A call whose key is known: that of its first sample.

    `contents` are those of its messages. `llm_string` is what LangChain wrote of the model and these options at an earlier
    call. `canonical_prompt` is None if the key was remembered.
    """

    key: str
    request: Request
    contents: list[bytes]
    identity: Identity
    llm_string: LLMString
    canonical_prompt: bytes | None

    def is_still(self, call: Request) -> bool:
        """Whether `call` is this one, and nothing of it has changed."""
        unchanged = unchanged_identity(call)  # of the same model and options there is one identity
        if unchanged is None or unchanged[1] is not self.identity or not call.messages:
            return False
        return contents_of(call.messages) == self.contents


def known_call(call: Request) -> KnownCall | None:
    """The key of a call of a chat model. None if it takes `call_key` to tell it. Raises what the class raises."""
    cls: type = type(call.model)
    if not call.messages or family_of(cls) is None:
        return None
    unchanged = unchanged_identity(call)
    if unchanged is None:
        return None
    llm_string, identity = unchanged
    settings = identity.request_settings
    if settings is None:
        return None
    contents = contents_of(call.messages)
    if contents is None:
        return None
    is_long = sum(map(len, contents)) > _LONGEST
    parts = (b"" if is_long else b"".join(contents), identity.document, identity.endpoint, settings)
    if not is_long and (key := _keys.get(parts)) is not None:
        return KnownCall(key, call, contents, identity, llm_string, None)
    if may_fetch(settings.family, contents):
        return None
    prompt = SENT + settings.prompt_part(call.langchain_model(), call.messages, call.stop, call.options, contents)
    key = key_of_parts(prompt, identity.document, identity.endpoint)
    if not is_long:
        if len(_keys) >= _MOST:
            _keys.clear()
        _keys[parts] = key
    return KnownCall(key, call, contents, identity, llm_string, prompt)


def call_key_of_known(known: KnownCall, prompt: str) -> CallKey:
    """The call key of a known call that has its `canonical_prompt`. `prompt` is the prompt as LangChain writes it."""
    identity, canonical_prompt = known.identity, known.canonical_prompt
    assert canonical_prompt is not None
    of = (identity.document, identity.endpoint, identity.model, identity.limits_tokens)
    return CallKey(known.key, prompt, canonical_prompt, *of, base_key=known.key, rewritten=True)


def forget() -> None:
    """Compute each key anew."""
    _keys.clear()
    message_parts.forget()
