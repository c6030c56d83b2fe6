"""The key of a call as `replay` looks it up, and the call without its secrets, as a cassette has it."""

import json
from contextlib import suppress
from functools import lru_cache
from typing import Any

from nbcache.keys.credentials import marked
from nbcache.keys.digests import digest_of
from nbcache.keys.json_text import parsed_strictly, written_json
from nbcache.keys.key import SENT, CallKey, prompt_of_request, rebuilt_call_key
from nbcache.keys.prompt import VERBATIM
from nbcache.replay.secrets.scrubber import Scrubber


def replay_key(call_key: CallKey, scrubber: Scrubber) -> str:
    """What is equal for calls that `replay` takes for the same: the endpoint doesn't count, nor do secrets."""
    return digest_of(
        b"replay", _clean(call_key.canonical_prompt, scrubber)[0], _clean_identity(call_key.identity, scrubber)[0]
    )


def scrubbed(call_key: CallKey, scrubber: Scrubber) -> tuple[CallKey, list[str]]:
    """The call without secrets, which is another one, and the kinds of those that were in it."""
    canonical_prompt, kinds = _clean(call_key.canonical_prompt, scrubber)
    identity, of_identity = _clean_identity(call_key.identity, scrubber)
    kinds += [*of_identity, *scrubber.kinds_in(call_key.endpoint)]
    if call_key.rewritten and not call_key.canonical_prompt.startswith(SENT):  # else the prompt is what counts of it
        kinds += scrubber.kinds_in(_value(call_key.prompt.encode(errors="surrogatepass")))
    if not kinds:
        return call_key, kinds
    call = rebuilt_call_key(
        *(
            canonical_prompt,
            _clean_prompt(call_key, canonical_prompt, scrubber) if call_key.rewritten else _prompt_in(canonical_prompt),
        ),
        identity=identity.decode(),
        endpoint=scrubber.text(call_key.endpoint),
        model=call_key.model,
        rewritten=call_key.rewritten,
    )
    return call, list(dict.fromkeys(kinds))


def _clean(data: bytes, scrubber: Scrubber) -> tuple[bytes, list[str]]:
    """`data` without secrets, and their kinds. Without secrets it stays as it is: two texts may be the same JSON."""
    if data.startswith(SENT):
        part, kinds = _clean(data.removeprefix(SENT), scrubber)
        return SENT + part, kinds
    value = _value(data)
    kinds = scrubber.kinds_in(value)
    return (_written(scrubber.value(value)) if kinds else data), kinds


@lru_cache(maxsize=256)
def _clean_identity(identity: bytes, scrubber: Scrubber) -> tuple[bytes, list[str]]:
    """The same for an identity, which most calls of a notebook share."""
    return _clean(marked(identity), scrubber)


def _clean_prompt(call_key: CallKey, canonical_prompt: bytes, scrubber: Scrubber) -> str:
    """The prompt as it is shown, without secrets."""
    if canonical_prompt.startswith(SENT):
        return prompt_of_request(canonical_prompt)
    prompt = scrubber.value(_value(call_key.prompt.encode(errors="surrogatepass")))
    return prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False)


def _prompt_in(canonical_prompt: bytes) -> str:
    """The prompt, where it is all that the canonical prompt holds."""
    return canonical_prompt.removeprefix(VERBATIM).decode(errors="surrogatepass")


def _value(data: bytes) -> Any:
    """The JSON value in `data`. What is not JSON, or would lose something as a value, is treated as text."""
    with suppress(ValueError, RecursionError):
        return parsed_strictly(data)
    return data.decode(errors="surrogatepass")


def _written(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    return written_json(value)
