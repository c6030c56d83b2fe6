"""An export or an import in a process of its own: `python -m benchmarks.transfer export|import STORE FILE`.

Prints as JSON the seconds, and by how many bytes the most memory that the process had was more than before.
"""

import json
import resource
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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


main(*sys.argv[1:])
