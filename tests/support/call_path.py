"""Which modules of nbcache's a hit enters, as a program: in a fresh process no earlier use of nbcache is in its way.

    python -m tests.support.call_path URL STORE

`URL` is an OpenAI-like server's, which has answered the question into `STORE` already. Prints the modules of a first hit, of
fifty warm ones, and of fifty that LangChain looks up, each in the order in which they are first entered, as JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from langchain_openai import ChatOpenAI

import nbcache

QUESTION = "Which moon is the largest?"
_PACKAGE = str(Path(nbcache.__file__).parent)


def model(url: str) -> ChatOpenAI:
    """A client of the server at `url`."""
    return ChatOpenAI(model="gpt-5-nano", base_url=url, api_key="none")


@contextmanager
def clock_at(moment: float) -> Iterator[None]:
    """Within this block the clock stands still at a `moment`.

    Otherwise it would be chance how many milliseconds calls take, and what is looked at again after each.
    """
    clock = time.monotonic
    time.monotonic = lambda: moment
    try:
        yield
    finally:
        time.monotonic = clock


def entered(call: Callable[[], Any], moment: float) -> list[str]:
    """The modules of nbcache's that `call`, made at a `moment`, runs code of in this thread, in the order in which they are entered."""
    files: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_PACKAGE):
            files[frame.f_code.co_filename.removeprefix(_PACKAGE + "/")] = None

    with clock_at(moment):
        sys.setprofile(note)
        try:
            call()
        finally:
            sys.setprofile(None)
    return list(files)


if __name__ == "__main__":
    nbcache.install(sys.argv[2])
    client = model(sys.argv[1])
    now = time.monotonic()
    first, *warm = [entered(lambda: client.invoke(QUESTION), now) for _ in range(51)]
    nbcache.NotebookCache.known_call = lambda *_: None  # type: ignore[method-assign]  # as of a call whose key is not told early
    looked_up = [entered(lambda: client.invoke(QUESTION), now) for _ in range(50)]
    print(json.dumps([first, warm, looked_up]))
