"""The providers' real clients, answered at their transports: nothing leaves the process."""

import contextlib
import io
from typing import Any, Self
from unittest import mock

import botocore.awsrequest
import botocore.httpsession
import httpx
import httpx2
import urllib3

from tests.keys.truth.capture import made_fast
from tests.servers.canned import Reply


class Wire:
    """Answers every request with `reply`."""

    reply: Reply

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(made_fast())
        for family in (httpx, httpx2):
            patched = mock.patch.object(family.HTTPTransport, "handle_request", self._answer(family))
            self._stack.enter_context(patched)
        self._stack.enter_context(mock.patch.object(botocore.httpsession.URLLib3Session, "send", self._answer_aws))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _answer(self, family: Any) -> Any:
        def handle_request(_: Any, request: Any) -> Any:
            reply = self.reply
            request.read()
            return family.Response(200, headers={"content-type": reply.kind, **reply.headers}, content=reply.body)

        return handle_request

    def _answer_aws(self, request: Any) -> Any:
        reply = self.reply
        headers = {"content-type": reply.kind, **reply.headers}
        raw = urllib3.HTTPResponse(io.BytesIO(reply.body), headers=headers, status=200, preload_content=False)
        return botocore.awsrequest.AWSResponse(request.url, 200, raw.headers, raw)
