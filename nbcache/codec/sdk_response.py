"""The HTTP response that an SDK got: an entry holds it beside the text that people read."""

import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from langchain_core.outputs import Generation

from nbcache.codec.event_stream import CONTENT_TYPE, as_texts, written_from

# The headers that are stored: the content type, the ids by which the SDKs' objects name their request, and what Bedrock says of
# an answer. Cookies and rate limits are not stored. Any other header of a cassette is refused: it could send an SDK elsewhere.
HEADERS = (
    *("content-type", "request-id", "x-request-id", "apim-request-id", "anthropic-workspace-id", "x-amzn-requestid"),
    *(f"x-amzn-bedrock-{what}-token-count" for what in ("input", "output", "cache-read-input", "cache-write-input")),
    *(f"x-amzn-bedrock-{what}" for what in ("content-type", "performanceconfig-latency", "service-tier")),
)


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """A response. `body` has its bytes: transfer encodings are removed.

    An entry holds the body as a text if it is one. An event stream of Amazon's becomes several texts; all else is in Base64.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, values: Any) -> "HTTPResponse":
        """The response that an entry holds. Raises ValueError if a provider can't have sent it."""
        form = next((name for name in _FORMS if name in values), None) if isinstance(values, dict) else None
        if form is None or values.keys() != {"status", "headers", form}:
            raise ValueError("it has no status, headers and body")
        status, headers = values["status"], values["headers"]
        if type(status) is not int or not 200 <= status < 300:
            raise ValueError(f"its status is {status!r}")
        if not isinstance(headers, dict) or not all(map(_is_header, headers.items())):
            raise ValueError(f"its headers are {headers!r}")
        return cls(status, headers, _FORMS[form](values[form]))

    def plain(self) -> dict[str, Any]:
        """The response as an entry holds it."""
        return {"status": self.status, "headers": self.headers, **self._plain_body()}

    def _plain_body(self) -> dict[str, Any]:
        with suppress(ValueError):
            if self.headers.get("content-type") == CONTENT_TYPE:
                return {"events": as_texts(self.body)}
        with suppress(ValueError):
            return {"body": self.body.decode()}
        return {"base64": base64.b64encode(self.body).decode()}


def response_in(generations: Sequence[Generation]) -> HTTPResponse:
    """The response in the generations of an entry. Raises LookupError, TypeError or ValueError if there is none."""
    return HTTPResponse.of((generations[0].generation_info or {})["http"])


def _from_text(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError("its body is no text")  # noqa: TRY004 - as the others
    return text.encode()  # raises UnicodeEncodeError for half of an emoji, which can't have come


def _from_base64(text: Any) -> bytes:
    return base64.b64decode(_from_text(text), validate=True)


_FORMS = {"body": _from_text, "base64": _from_base64, "events": written_from}  # of a body in an entry


def _is_header(item: tuple[Any, Any]) -> bool:
    name, value = item
    return name in HEADERS and isinstance(value, str) and value.isascii() and value.isprintable()
