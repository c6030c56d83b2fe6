"""The HTTP response in an entry: its body comes back byte for byte, whatever it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcache.codec.sdk_response import HTTPResponse


@given(st.binary() | st.text().map(str.encode))
def test_a_body_comes_back_byte_for_byte(body: bytes) -> None:
    response = HTTPResponse(200, {"content-type": "audio/mpeg"}, body)
    assert HTTPResponse.of(json.loads(json.dumps(response.plain()))) == response


def test_a_text_is_stored_as_it_reads_and_only_other_bytes_in_base64() -> None:
    assert HTTPResponse(200, {}, "é".encode()).plain() == {"status": 200, "headers": {}, "body": "é"}
    assert HTTPResponse(200, {}, b"\xff\x00").plain() == {"status": 200, "headers": {}, "base64": "/wA="}


@pytest.mark.parametrize(
    "body", [{}, {"base64": 5}, {"base64": "no Base64"}, {"base64": "é"}, {"base64": "", "body": ""}]
)
def test_a_body_in_another_form_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"body|Base64|base64|padding|ASCII"):
        HTTPResponse.of({"status": 200, "headers": {}, **body})
