"""The key of a call: equal exactly for calls that must get the same answer.

Keys are a promise. They are versioned and tested against golden ones, so that no refactoring makes
anybody pay again.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from nbcache.keys.digests import digest_of
from nbcache.keys.identity import identify, limits_tokens_in
from nbcache.keys.json_text import parsed
from nbcache.keys.model_fields.user_classes import reads
from nbcache.keys.prompt import READINGS, Normalize, Reading, canonical_prompt, normalized
from nbcache.keys.provider_requests.request_parts import Settings, can_be_built, messages_in, shown
from nbcache.keys.request import Identity, Request

KEY_VERSION = 2
VERSION_1 = 1  # of 0.1 to 0.4
_DRAW = re.compile(r',"draw":(\d+)}\Z')
SENT = b"sent:"  # begins what is told of a prompt by the request that it makes
_METADATA = '"response_metadata": {"'  # of an earlier answer, as LangChain writes a prompt
_KEYS_KEPT, _SHORT = 2048, 10_000  # keys, and characters of a prompt


@dataclass(frozen=True, slots=True)
class CallKey:
    """A call as the cache knows it: its key, and what the key was made of.

    `said` is what counts of the prompt, in one form; `by_rule` where it was the user's rule that told. `draw` is
    which of several answers to the same call is meant; `plain` is the key of the first.
    """

    key: str
    prompt: str
    said: bytes
    identity: bytes
    endpoint: str
    model: str
    limits_tokens: bool
    plain: str
    draw: int = 0
    by_rule: bool = False


def cache_key(prompt: str, llm_string: str, call: Request | None = None) -> str:
    """The key (40 hexadecimal digits) of this call, where no rule of the user's changes it, and of its first draw.

    `prompt` and `llm_string` are what LangChain hands to `BaseCache.lookup`; `call` adds the model object
    and the options, where they are known. Raises UnstableIdentityError where the call's identity can't be
    established.
    """
    return call_key(prompt, llm_string, call).key


def call_key(prompt: str, llm_string: str, call: Request | None = None, normalize: Normalize | None = None) -> CallKey:
    """As `cache_key`, with what the key was made of.

    `normalize` is applied to each text of the prompt, for the key alone. What it raises, this raises.
    """
    return call_key_of(prompt, identify(llm_string, call), call, llm_string, normalize)


def call_key_of(
    prompt: str, identity: Identity, call: Request | None, llm_string: str = "", normalize: Normalize | None = None
) -> CallKey:
    """As `call_key`, of a call whose model's identity is at hand."""
    counts = prompt if identity.part is None else identity.part
    asked = (prompt, counts, identity.document, identity.endpoint, identity.sent)
    if normalize is None and (known := _known.get(asked)) is not None:
        return known
    said = _sent(identity, counts, call, normalize)
    is_apart = said is not None or identity.part is not None
    if said is None:
        reading = _reading(prompt, llm_string, call)
        said = canonical_prompt(counts, reading, normalize)
        is_apart |= normalize is not None and said != canonical_prompt(counts, reading)
    found = _call_key(said, prompt, identity, by_rule=is_apart)
    if normalize is None and len(prompt) <= _SHORT:
        if len(_known) >= _KEYS_KEPT:
            _known.clear()
        _known[asked] = found
    return found


def _sent(identity: Identity, prompt: str, call: Request | None, normalize: Normalize | None) -> bytes | None:
    """What the prompt makes of the request that the model's class builds; None where it can't be asked."""
    sent = identity.sent
    if sent is None or call is None or not can_be_built(sent.family, prompt):
        return None
    messages: Any = prompt
    if call.is_chat:
        messages = messages_in(prompt) if call.messages is None else call.messages
        if messages is None:
            return None
    if normalize is not None:
        messages = normalized(messages, normalize)
    try:
        return SENT + sent.prompt_part(call.asked_model(), messages, call.stop, call.options)
    except Exception:  # noqa: BLE001 - the class's own code: what it refuses, it will refuse when it is called
        return None


# The keys of the last calls: a cell that is run again asks the same ones. Two models whose settings say the same may
# still make different requests of a prompt.
_known: dict[tuple[str, str, bytes, str, Settings | None], CallKey] = {}


def drawn(asked: CallKey, number: int) -> CallKey:
    """The call of `asked`, which is draw 0, as the draw `number`: another call, with that number in its identity."""
    if number == asked.draw:
        return asked
    key = digest_of(b"draw %d" % number, asked.plain.encode())
    return replace(asked, key=key, identity=asked.identity[:-1] + b',"draw":%d}' % number, draw=number)


def recalled(  # noqa: PLR0913 - all that an entry tells of its call
    key: str,
    prompt: str,
    *,
    identity: str,
    endpoint: str,
    model: str,
    said: str | None = None,
    normalize: Normalize | None = None,
    version: int = KEY_VERSION,
) -> CallKey | None:
    """The call of the entry `key`, of that version, from what the entry tells of it; None where another key comes out.

    That is so where a `normalize` had its part in the key that isn't the one given, and `said` wasn't kept.
    """
    for each in _sayings(prompt, said, normalize):
        found = restored(each, prompt, identity=identity, endpoint=endpoint, model=model, by_rule=said is not None)
        if (found.key if version == KEY_VERSION else key_of(found, version)) == key:
            return found
    return None


def restored(said: bytes, prompt: str, *, identity: str, endpoint: str, model: str, by_rule: bool) -> CallKey:  # noqa: PLR0913
    """A call from all that counts of it, with its key worked out. Raises ValueError where `identity` is no JSON object."""
    plain = _DRAW.sub("}", identity)
    draw = _DRAW.search(identity)
    whole = Identity(plain.encode(errors="surrogatepass"), endpoint, model, limits_tokens_in(plain))
    return drawn(_call_key(said, prompt, whole, by_rule=by_rule), int(draw[1]) if draw else 0)


def prompt_sent(said: bytes) -> str:
    """The prompt as it is shown, of what counts of it as a part of a request. Raises ValueError where that is no JSON."""
    part = parsed(said.removeprefix(SENT))
    return shown(part) if isinstance(part, dict) else str(part)


def _sayings(prompt: str, said: str | None, normalize: Normalize | None) -> Iterator[bytes]:
    """What may have counted of a prompt when it was asked."""
    if said is not None:
        yield said.encode(errors="surrogatepass")
        return
    for rule in dict.fromkeys((None, normalize)):
        for reading in READINGS:
            with suppress(Exception):  # the rule is the user's own code
                yield canonical_prompt(prompt, reading, rule)


def key_of(call: CallKey, version: int = KEY_VERSION) -> str:
    """The key of a call in another version, by all that counts of it."""
    plain = _key(call.said, _DRAW.sub("}", call.identity.decode()).encode(), call.endpoint, version)
    return digest_of(b"draw %d" % call.draw, plain.encode()) if call.draw else plain


def _key(said: bytes, document: bytes, endpoint: str, version: int = KEY_VERSION) -> str:
    return digest_of(b"%d" % version, said, document, endpoint.encode())


def _call_key(said: bytes, prompt: str, identity: Identity, *, by_rule: bool) -> CallKey:
    key = _key(said, identity.document, identity.endpoint)
    whole = (identity.document, identity.endpoint, identity.model, identity.limits_tokens)
    return CallKey(key, prompt, said, *whole, plain=key, by_rule=by_rule)


def _reading(prompt: str, llm_string: str, call: Request | None) -> Reading:
    if call is None:
        return Reading(True, llm_string.startswith("{"), '"use_previous_response_id": true' in llm_string)
    sends_back = call.is_chat and _METADATA in prompt and _sends_back(call.asked_model())
    return Reading(call.is_chat, True, sends_back)


def _sends_back(model: Any) -> bool:
    """Whether a model looks at the metadata of earlier answers."""
    return bool(model.__dict__.get("use_previous_response_id")) or reads(type(model), "response_metadata")
