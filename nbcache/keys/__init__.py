"""From a call to its key.

In the order of a call: `request.py` is what a caller asks for. `key.py` makes the key from the prompt (`prompt.py`), the
identity of the model, and the endpoint. `identity.py` computes the identity, unless `identity_cache.py` still has it: from
the request that the model's class builds (`provider_requests/`), or from the model's fields (`model_fields/`) and
`llm_string.py`; and from the model's clients (`clients/`). `embedder_identity.py` does so for embedding models. `ignored/`
says what doesn't count. `usercode/` digests code of the user's own. `functions/` identifies calls of the user's own functions.

`known_keys.py` tells the key of a call without what LangChain writes of it, and `langchain_prompt.py` writes what LangChain
would of its messages.

`canonical.py` writes any value as JSON, `canonical_tags.py` says what stands there for a value that JSON has no form for,
`json_text.py` reads and writes JSON, `digests.py` makes the digest. `api_names.py` has the names of the APIs that can be
called without LangChain. `credential_names.py` lists the names of credentials, and makes the digests that replace them.
`credentials.py` replaces them in a document, `canonical_urls.py` in URLs, whose canonical form it makes, too.
`model_names.py` and `answer_limits.py` read single facts about a call, `message_classes.py` lists LangChain's classes.
`earlier_keys.py` gives calls of earlier versions their present key.
"""

from typing import TYPE_CHECKING

from nbcache import handed_on

if TYPE_CHECKING:
    from nbcache.keys.key import KEY_VERSION, CallKey, cache_key, call_key

__all__ = ["KEY_VERSION", "CallKey", "cache_key", "call_key"]
__getattr__ = handed_on(
    "nbcache.keys",
    dict.fromkeys(__all__, "key"),
    {
        "drawn": "nbcache.keys.key:with_sample",
        "replay_key": "nbcache.replay.replay_key:replay_key",
        "scrubbed": "nbcache.replay.replay_key:scrubbed",
    },
)
