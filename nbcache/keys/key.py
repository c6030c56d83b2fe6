"""The key of a call: equal exactly for calls that must get the same answer.

Keys are a promise. They are versioned and tested against golden ones, so that no refactoring makes
anybody pay again.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from nbcache import public_in
from nbcache.keys.answer_limits import limits_tokens_in
from nbcache.keys.digests import digest_of
from nbcache.keys.identity import identify
from nbcache.keys.json_text import parsed
from nbcache.keys.model_fields.user_classes import reads_attribute
from nbcache.keys.prompt import PROMPT_FORMATS, Normalize, PromptFormat, canonical_prompt, normalized_prompt
from nbcache.keys.provider_requests.request_parts import RequestSettings, can_be_built, messages_in, readable_prompt
from nbcache.keys.request import Identity, Request

KEY_VERSION = 2
VERSION_1 = 1  # of 0.1 to 0.4
SENT = b"sent:"  # begins a canonical prompt that is a part of the provider's request
_SAMPLE = re.compile(r',"draw":(\d+)}\Z')  # in an identity; the name is part of the key's format
_METADATA = '"response_metadata": {"'  # of an earlier answer, as LangChain writes a prompt
_MOST_CACHED = 512  # call keys
_LONGEST_CACHED = 10_000  # characters of a prompt


class CallKey(NamedTuple):
    """The key of a call, and what it was made of.

    Attributes:
        prompt: the prompt as LangChain writes it.
        canonical_prompt: what counts of the prompt, in one form.
        identity: the identity's document, with the number of the sample if it isn't the first.
        base_key: the key of the first sample.
        sample: which of several answers to the same call is meant, from 0.
        rewritten: whether `canonical_prompt` can't be computed from `prompt` alone. A `normalize` function or the
            provider's class made it, so an entry has to store it.
    """

    key: str
    prompt: str
    canonical_prompt: bytes
    identity: bytes
    endpoint: str
    model: str
    limits_tokens: bool
    base_key: str
    sample: int = 0
    rewritten: bool = False


@public_in("nbcache")
def cache_key(prompt: str, llm_string: str, call: Request | None = None) -> str:
    """The key (40 hexadecimal digits) of a call's first sample, without a `normalize` function.

    `prompt` and `llm_string` are what LangChain passes to `BaseCache.lookup`. `call` adds the model object and the
    options, where they are known. Raises UnstableIdentityError where the call's identity can't be established.
    """
    return call_key(prompt, llm_string, call).key


def call_key(prompt: str, llm_string: str, call: Request | None = None, normalize: Normalize | None = None) -> CallKey:
    """As `cache_key`, with what the key was made of.

    `normalize` is applied to each text of the prompt, for the key alone. Its exceptions are raised from here.
    """
    return call_key_of(prompt, identify(llm_string, call), call, llm_string, normalize)


def call_key_of(
    prompt: str, identity: Identity, call: Request | None, llm_string: str = "", normalize: Normalize | None = None
) -> CallKey:
    """As `call_key`, for a call whose identity is known."""
    counted_prompt = prompt if identity.counted_prompt is None else identity.counted_prompt
    parts = (prompt, counted_prompt, identity.document, identity.endpoint, identity.request_settings)
    if normalize is None and (cached := _call_keys.get(parts)) is not None:
        return cached
    canonical = _prompt_in_request(identity, counted_prompt, call, normalize)
    rewritten = canonical is not None or identity.counted_prompt is not None
    if canonical is None:
        prompt_format = _prompt_format(prompt, llm_string, call)
        canonical = canonical_prompt(counted_prompt, prompt_format, normalize)
        rewritten |= normalize is not None and canonical != canonical_prompt(counted_prompt, prompt_format)
    made = _call_key(canonical, prompt, identity, rewritten=rewritten)
    if normalize is None and len(prompt) <= _LONGEST_CACHED:
        if len(_call_keys) >= _MOST_CACHED:
            _call_keys.clear()
        _call_keys[parts] = made
    return made


def _prompt_in_request(
    identity: Identity, prompt: str, call: Request | None, normalize: Normalize | None
) -> bytes | None:
    """The prompt's part of the request that the model's class builds. None if no request can be built."""
    settings = identity.request_settings
    if settings is None or call is None or not can_be_built(settings.family, prompt):
        return None
    messages: Any = prompt
    if call.is_chat:
        messages = messages_in(prompt) if call.messages is None else call.messages
        if messages is None:
            return None
    if normalize is not None:
        messages = normalized_prompt(messages, normalize)
    try:
        return SENT + settings.prompt_part(call.langchain_model(), messages, call.stop, call.options)
    except Exception:  # noqa: BLE001 - the class's own code: what it refuses, it will refuse when it is called
        return None


# The keys of the last calls: a cell that is run again makes the same ones. The request's settings are part of it, since
# two models with equal identities may still build different requests for a prompt.
_call_keys: dict[tuple[str, str, bytes, str, RequestSettings | None], CallKey] = {}


def with_sample(call_key: CallKey, number: int) -> CallKey:
    """The call key of sample `number`. Its identity contains that number; `call_key` is of sample 0."""
    if number == call_key.sample:
        return call_key
    key = _sample_key(call_key.base_key, number)
    identity = call_key.identity[:-1] + b',"draw":%d}' % number
    return call_key._replace(key=key, identity=identity, sample=number)


def _sample_key(base_key: str, number: int) -> str:
    return digest_of(b"draw %d" % number, base_key.encode())


def call_key_of_entry(  # noqa: PLR0913 - all that an entry stores of its call
    key: str,
    prompt: str,
    *,
    identity: str,
    endpoint: str,
    model: str,
    canonical_prompt: str | None = None,
    normalize: Normalize | None = None,
    version: int = KEY_VERSION,
) -> CallKey | None:
    """The call key of the entry `key`, whose key has this version. Returns None if no candidate gives that key.

    That happens where another `normalize` than this one was used, and the entry does not store its canonical prompt.
    """
    rewritten = canonical_prompt is not None
    for candidate in _canonical_prompts(prompt, canonical_prompt, normalize):
        made = rebuilt_call_key(
            candidate, prompt, identity=identity, endpoint=endpoint, model=model, rewritten=rewritten
        )
        if (made.key if version == KEY_VERSION else key_in_version(made, version)) == key:
            return made
    return None


def rebuilt_call_key(  # noqa: PLR0913 - all that a key is made of
    canonical_prompt: bytes, prompt: str, *, identity: str, endpoint: str, model: str, rewritten: bool
) -> CallKey:
    """The call key of a call that was written down. Raises ValueError if `identity` is not a JSON object."""
    base_identity = _SAMPLE.sub("}", identity)
    sample = _SAMPLE.search(identity)
    whole = Identity(base_identity.encode(errors="surrogatepass"), endpoint, model, limits_tokens_in(base_identity))
    return with_sample(_call_key(canonical_prompt, prompt, whole, rewritten=rewritten), int(sample[1]) if sample else 0)


def prompt_of_request(canonical_prompt: bytes) -> str:
    """A prompt as people read it, from a canonical prompt that begins with SENT. Raises ValueError if it is not JSON."""
    part = parsed(canonical_prompt.removeprefix(SENT))
    return readable_prompt(part) if isinstance(part, dict) else str(part)


def _canonical_prompts(prompt: str, stored: str | None, normalize: Normalize | None) -> Iterator[bytes]:
    """The canonical prompts that a call with this prompt may have had: the stored one, or one for each format."""
    if stored is not None:
        yield stored.encode(errors="surrogatepass")
        return
    for rule in dict.fromkeys((None, normalize)):
        for prompt_format in PROMPT_FORMATS:
            with suppress(Exception):  # `normalize` is the user's own code
                yield canonical_prompt(prompt, prompt_format, rule)


def key_in_version(call_key: CallKey, version: int) -> str:
    """The key that this version of the format gives to a call."""
    base_identity = _SAMPLE.sub("}", call_key.identity.decode()).encode()
    base_key = key_of_parts(call_key.canonical_prompt, base_identity, call_key.endpoint, version)
    return _sample_key(base_key, call_key.sample) if call_key.sample else base_key


def key_of_parts(canonical_prompt: bytes, document: bytes, endpoint: str, version: int = KEY_VERSION) -> str:
    """The key of a first sample, of what counts of the prompt, the identity's document and the endpoint."""
    return digest_of(b"%d" % version, canonical_prompt, document, endpoint.encode())


def _call_key(canonical_prompt: bytes, prompt: str, identity: Identity, *, rewritten: bool) -> CallKey:
    key = key_of_parts(canonical_prompt, identity.document, identity.endpoint)
    whole = (identity.document, identity.endpoint, identity.model, identity.limits_tokens)
    return CallKey(key, prompt, canonical_prompt, *whole, base_key=key, rewritten=rewritten)


def _prompt_format(prompt: str, llm_string: str, call: Request | None) -> PromptFormat:
    if call is None:
        return PromptFormat(True, llm_string.startswith("{"), '"use_previous_response_id": true' in llm_string)
    keeps_metadata = call.is_chat and _METADATA in prompt and _reads_metadata(call.langchain_model())
    return PromptFormat(call.is_chat, True, keeps_metadata)


def _reads_metadata(model: Any) -> bool:
    """Whether a model reads the metadata of earlier answers."""
    return bool(model.__dict__.get("use_previous_response_id")) or reads_attribute(type(model), "response_metadata")
