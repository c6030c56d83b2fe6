"""A request as it would be sent, whatever library sends it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, urlsplit

from nbcache.keys.json_text import parsed_strictly


@dataclass(frozen=True)
class HTTPRequest:
    """A request.

    Attributes:
        content: returns the bytes of the body. Raises what the library raises if they aren't known before they are sent.
        timeout: the seconds that its sender waits for an answer, if that is known.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    content: Callable[[], Any]
    timeout: float | None = None

    @cached_property
    def parts(self) -> SplitResult:
        """The parts of the URL."""
        return urlsplit(self.url)

    @property
    def is_retry(self) -> bool:
        """Whether it is a further attempt at a request that failed, by what an SDK or botocore says."""
        aws = self.header("amz-sdk-request")
        return self.header("x-stainless-retry-count") not in {"", "0"} or (bool(aws) and "attempt=1;" not in f"{aws};")

    def header(self, name: str) -> str:
        """The header `name`, in lower case. Empty if there is none."""
        return next((value for each, value in self.headers.items() if each.lower() == name), "")

    def parsed_body(self) -> tuple[Any, bool]:
        """The JSON in the body, and whether an object in it has a field twice. Raises what a body raises that is no JSON."""
        content = self.content()
        try:
            return parsed_strictly(content), False
        except ValueError:
            return json.loads(content), True


def whole_body(body: Any) -> Any:
    """The body of a request, empty if it has none. Raises TypeError if it is read or generated while it is sent."""
    if isinstance(body, bytearray):
        return bytes(body)
    if not isinstance(body, str | bytes | None):
        raise TypeError("no bytes")
    return body or b""
