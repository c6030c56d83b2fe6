"""An SDK's answer as it came over the wire, which an entry holds beside what people read of it."""

from dataclasses import dataclass
from typing import Any

# What is kept of its headers: its type, and the ids by which the SDKs' objects name their request. No cookies, no limits
# of then; and what a cassette that somebody else wrote has besides could send an SDK elsewhere.
HEADERS = ("content-type", "request-id", "x-request-id", "apim-request-id", "anthropic-workspace-id")


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """An answer: `body` is text, without an encoding of the way."""

    status: int
    headers: dict[str, str]
    body: str

    @classmethod
    def of(cls, told: Any) -> "HTTPResponse":
        """What an entry tells of it. Raises ValueError where that is no answer that a provider gave."""
        if not isinstance(told, dict) or told.keys() != {"status", "headers", "body"}:
            raise ValueError("it has no status, headers and body")
        status, headers, body = told["status"], told["headers"], told["body"]
        if type(status) is not int or not 200 <= status < 300:
            raise ValueError(f"its status is {status!r}")
        if not isinstance(headers, dict) or not all(map(_is_header, headers.items())):
            raise ValueError(f"its headers are {headers!r}")
        if not isinstance(body, str):
            raise ValueError("its body is no text")  # noqa: TRY004 - as the others
        body.encode()  # half of an emoji can't have come
        return cls(status, headers, body)


def _is_header(item: tuple[Any, Any]) -> bool:
    name, value = item
    return name in HEADERS and isinstance(value, str) and value.isascii() and value.isprintable()
