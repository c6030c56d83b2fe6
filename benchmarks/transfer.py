"""An export or an import in a process of its own: `python -m benchmarks.transfer export|import STORE FILE`.

Prints as JSON the seconds, and by how many bytes the most memory that the process had was more than before.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

from nbcache import NotebookCache
from nbcache.replay.cassette_export import export_entries
from nbcache.replay.cassette_import import import_entries
from nbcache.replay.secrets.scrubber import Scrubber


def main(what: str, store: str, file: str) -> None:
    cache = NotebookCache(store, scope="folder")
    before, start = _most(), perf_counter()
    if what == "export":
        export_entries(cache.contents(), Path(file), scrubber=Scrubber())
    else:
        import_entries(cache.contents(), Path(file))
    seconds = perf_counter() - start
    json.dump({"seconds": seconds, "bytes": _most() - before}, sys.stdout)
    cache.close()


def _most() -> int:
    """The most bytes that this program had in memory. Not by `getrusage`: what its parent had when it started it counts there."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


main(*sys.argv[1:])
