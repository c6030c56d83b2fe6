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


def replay_key(asked: CallKey, scrubber: Scrubber) -> str:
    """What is equal for calls that `replay` takes for the same: the endpoint doesn't count, nor do secrets."""
    return digest_of(
        b"replay", _clean(asked.canonical_prompt, scrubber)[0], _clean_identity(asked.identity, scrubber)[0]
    )


def scrubbed(asked: CallKey, scrubber: Scrubber) -> tuple[CallKey, list[str]]:
    """The call without secrets, which is another one, and the kinds of those that were in it."""
    said, kinds = _clean(asked.canonical_prompt, scrubber)
    identity, of_identity = _clean_identity(asked.identity, scrubber)
    kinds += [*of_identity, *scrubber.found(asked.endpoint)]
    if asked.rewritten and not asked.canonical_prompt.startswith(SENT):  # else the prompt is what counts of it
        kinds += scrubber.found(_value(asked.prompt.encode(errors="surrogatepass")))
    if not kinds:
        return asked, kinds
    call = rebuilt_call_key(
        *(said, _clean_prompt(asked, said, scrubber) if asked.rewritten else _prompt_in(said)),
        identity=identity.decode(),
        endpoint=scrubber.text(asked.endpoint),
        model=asked.model,
        rewritten=asked.rewritten,
    )
    return call, list(dict.fromkeys(kinds))


def _clean(told: bytes, scrubber: Scrubber) -> tuple[bytes, list[str]]:
    """`told` without secrets, and their kinds. Without any in it, it is as it is: two texts may be the same JSON."""
    if told.startswith(SENT):
        part, kinds = _clean(told.removeprefix(SENT), scrubber)
        return SENT + part, kinds
    value = _value(told)
    kinds = scrubber.found(value)
    return (_written(scrubber.value(value)) if kinds else told), kinds


@lru_cache(maxsize=256)
def _clean_identity(identity: bytes, scrubber: Scrubber) -> tuple[bytes, list[str]]:
    """The same for an identity, which most calls of a notebook share."""
    return _clean(marked(identity), scrubber)


def _clean_prompt(asked: CallKey, said: bytes, scrubber: Scrubber) -> str:
    """The prompt as it is shown, without secrets."""
    if said.startswith(SENT):
        return prompt_of_request(said)
    prompt = scrubber.value(_value(asked.prompt.encode(errors="surrogatepass")))
    return prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False)


def _prompt_in(said: bytes) -> str:
    """The prompt of which nothing but this counts."""
    return said.removeprefix(VERBATIM).decode(errors="surrogatepass")


def _value(told: bytes) -> Any:
    """What is told in JSON; what is none is a text, and so is what would lose something as a value."""
    with suppress(ValueError, RecursionError):
        return parsed_strictly(told)
    return told.decode(errors="surrogatepass")


def _written(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    return written_json(value)
