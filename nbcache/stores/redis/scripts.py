"""The scripts that run on the server, each as one transaction."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbcache.stores.redis.columns import OF_ROW, OTHERS

if TYPE_CHECKING:
    from redis.commands.core import Script

TOMBSTONES = 10_000  # the latest are kept
_GROWING = ("edit", "put")  # not run on a server whose memory is full: by this line, before anything of them is done
_DENY_WHEN_FULL = "#!lua\n"
_FOLDER = Path(__file__).with_name("lua")
Argument = str | bytes | int | float


def run(client: Any, root: str, name: str, arguments: Sequence[Argument]) -> Any:
    """Run a script on a client, or put it into a pipeline. `root` is the beginning of all keys."""
    return _script(name, TOMBSTONES)([root], arguments, client=client)


@functools.cache
def _script(name: str, tombstones: int) -> "Script":
    from redis import Redis  # noqa: PLC0415 - few stores are on a server

    columns = ", ".join(f"'{column}'" for column in OF_ROW)
    others = ", ".join(f"'{column}'" for column in OTHERS)
    constants = f"local COLUMNS, OTHER_COLUMNS, TOMBSTONES = {{{columns}}}, {{{others}}}, {tombstones}\n"
    first_line = _DENY_WHEN_FULL if name in _GROWING else ""
    text = first_line + constants + "\n".join((_FOLDER / f"{part}.lua").read_text("utf-8") for part in ("common", name))
    return Redis().register_script(text)
