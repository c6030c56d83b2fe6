"""The HTTP response that an SDK got: an entry holds it beside the text that people read."""

from dataclasses import dataclass
from typing import Any

# The headers that are stored: the content type, and the ids by which the SDKs' objects name their request. Cookies and
# rate limits are not stored. Any other header of a cassette is refused: it could send an SDK elsewhere.
HEADERS = ("content-type", "request-id", "x-request-id", "apim-request-id", "anthropic-workspace-id")


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """A response. `body` is its text: transfer encodings are removed."""

    status: int
    headers: dict[str, str]
    body: str

    @classmethod
    def of(cls, values: Any) -> "HTTPResponse":
        """The response that an entry holds. Raises ValueError if a provider can't have sent it."""
        if not isinstance(values, dict) or values.keys() != {"status", "headers", "body"}:
            raise ValueError("it has no status, headers and body")
        status, headers, body = values["status"], values["headers"], values["body"]
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
