"""Bedrock without a network: boto3's real client, whose requests are answered where botocore would send them.

So its hosts are AWS's own, for which there are prices.
"""

import io
import json
from collections import deque
from collections.abc import Generator, Mapping
from typing import Any

import boto3
import botocore.httpsession
import pytest
import urllib3
from botocore.awsrequest import AWSResponse

from tests.servers.provider_bedrock import EVENT_STREAM, chunks

AWS: dict[str, str] = {"region_name": "us-east-1", "aws_access_key_id": "k", "aws_secret_access_key": "s"}


class BedrockWire:
    """Answers requests with the next reply, and has the requests that came."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[Any] = []
        self.bodies: list[_Raw] = []
        self._replies: deque[tuple[int, dict[str, str], list[bytes]]] = deque()
        monkeypatch.setattr(botocore.httpsession.URLLib3Session, "send", lambda _, request: self._answer(request))

    def client(self, **settings: Any) -> Any:
        return boto3.client("bedrock-runtime", **{**AWS, **settings})

    def reply(self, body: Any, **headers: str) -> None:
        """Answer with this body, which is JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._replies.append((200, {"content-type": "application/json", **_dashed(headers)}, [data]))

    def stream(self, *pieces: bytes, **headers: str) -> None:
        """Answer with an event stream that comes in these pieces."""
        self._replies.append((200, {"content-type": EVENT_STREAM, **_dashed(headers)}, list(pieces)))

    def stream_chunks(self, *events: dict[str, Any]) -> None:
        self.stream(chunks(*events))

    def _answer(self, request: Any) -> AWSResponse:
        self.requests.append(request)
        status, headers, pieces = self._replies.popleft()
        self.bodies.append(_Raw(status, headers, pieces))
        return AWSResponse(request.url, status, headers, self.bodies[-1])


class _Raw(urllib3.HTTPResponse):
    """A body that comes piece by piece. `taken` is how many were."""

    def __init__(self, status: int, headers: Mapping[str, str], pieces: list[bytes]) -> None:
        body = io.BytesIO(b"".join(pieces))
        super().__init__(body, headers=headers, status=status, preload_content=False, decode_content=False)
        self.taken, self.was_closed = 0, False
        self._pieces = pieces

    def stream(self, amt: int | None = None, decode_content: bool | None = None) -> Generator[bytes, None, None]:
        for piece in self._pieces[self.taken :]:
            self.taken += 1
            yield piece

    def close(self) -> None:
        self.was_closed = True
        super().close()


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
