"""The HTTP response that an SDK got: an entry holds it beside the text that people read."""

import base64
from dataclasses import dataclass
from typing import Any

# The headers that are stored: the content type, and the ids by which the SDKs' objects name their request. Cookies and
# rate limits are not stored. Any other header of a cassette is refused: it could send an SDK elsewhere.
HEADERS = ("content-type", "request-id", "x-request-id", "apim-request-id", "anthropic-workspace-id")


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """A response. `body` has its bytes: transfer encodings are removed.

    An entry holds the body as a text, or in Base64 if it is none.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, values: Any) -> "HTTPResponse":
        """The response that an entry holds. Raises ValueError if a provider can't have sent it."""
        if not isinstance(values, dict) or values.keys() not in ({"status", "headers", "body"}, _BINARY):
            raise ValueError("it has no status, headers and body")
        status, headers = values["status"], values["headers"]
        if type(status) is not int or not 200 <= status < 300:
            raise ValueError(f"its status is {status!r}")
        if not isinstance(headers, dict) or not all(map(_is_header, headers.items())):
            raise ValueError(f"its headers are {headers!r}")
        return cls(status, headers, _body_of(values))

    def plain(self) -> dict[str, Any]:
        """The response as an entry holds it."""
        try:
            body = {"body": self.body.decode()}
        except UnicodeDecodeError:
            body = {"base64": base64.b64encode(self.body).decode()}
        return {"status": self.status, "headers": self.headers, **body}


_BINARY = {"status", "headers", "base64"}


def _body_of(values: dict[str, Any]) -> bytes:
    """The body of a response that an entry holds. Raises ValueError if it is neither a text nor Base64."""
    if "base64" in values:
        if not isinstance(values["base64"], str):
            raise ValueError("its body is no Base64")
        return base64.b64decode(values["base64"], validate=True)
    if not isinstance(values["body"], str):
        raise ValueError("its body is no text")  # noqa: TRY004 - as the others
    return values["body"].encode()  # raises UnicodeEncodeError for half of an emoji, which can't have come


def _is_header(item: tuple[Any, Any]) -> bool:
    name, value = item
    return name in HEADERS and isinstance(value, str) and value.isascii() and value.isprintable()
