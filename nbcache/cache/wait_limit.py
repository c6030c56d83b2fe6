"""How long a call waits for the answer to an identical one."""

from nbcache.cache.call import Call

_LONGEST_WAIT = 600.0  # seconds: what the providers' clients wait for an answer


def longest_wait(call: Call) -> float:
    """How many seconds this call waits for the answer of another one: as long as it would wait for its own."""
    fields = {} if call.model is None else call.model.__dict__
    timeouts = (fields.get(name) for name in ("request_timeout", "timeout", "default_request_timeout"))
    for given in (call.timeout, *timeouts):
        if isinstance(given, int | float) and given > 0:
            return float(given)
    return _LONGEST_WAIT
