"""Generate pairs of calls that differ in one thing, and compare what is really sent with nbcache's keys.

    python -m tests.keys.truth                          every client and kind, at least 100,000 pairs; writes RESULTS.md
    python -m tests.keys.truth --quick                  some thousand pairs, in half a minute
    python -m tests.keys.truth --client ChatOpenAI      one client; --client may be repeated
    python -m tests.keys.truth --kind settings          one kind of difference; --topic temperature one thing of it
    python -m tests.keys.truth --show 5                 five examples of each verdict that isn't right, wrong ones first

Every call is made by a real client with the cache on, and its request is caught at the transport. Two calls make a pair:

- `wrong`: another request, the same key. There must be none.
- `pays again`: the same request, another key.
- `refused`: one of the two isn't cached at all.

The calls are the same in each run with the same `--seed`. Exits with 1 where a pair is wrong.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.keys.truth.pairs import AGAIN, REFUSED, WRONG, Tally
from tests.keys.truth.report import results, table, written
from tests.keys.truth.sources import SOURCES
from tests.keys.truth.tasks import Task, run


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns its exit code."""
    given = _arguments(arguments)
    names = given.client or list(SOURCES)
    each = 0 if given.quick or given.topic or given.kind else -(-given.pairs // len(names))
    share = 0.06 if given.quick else 1.0
    begun, whole = time.monotonic(), Tally()
    tasks = [Task(name, tuple(given.kind), tuple(given.topic), given.seed, each, share) for name in names]
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for name, tally in zip(names, pool.map(run, tasks), strict=True):
            whole.merge(tally)
            print(
                f"{name}: {tally.calls:,} calls, {tally.count():,} pairs, {tally.count(verdict=WRONG):,} wrong",
                flush=True,
            )
    seconds = time.monotonic() - begun
    for verdict in (WRONG, AGAIN, REFUSED):
        examples = [pair for name, pair in sorted(whole.examples.items()) if name[0] == verdict]
        for pair in examples[: given.show]:
            print(f"\n{pair}")
    print(f"\n{table(whole)}\n")
    if given.write:
        written(results(whole, seconds, given.seed))
    return 1 if whole.count(verdict=WRONG) else 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.keys.truth", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="some thousand pairs")
    parser.add_argument("--client", action="append", default=[], choices=list(SOURCES), metavar="NAME")
    parser.add_argument("--kind", action="append", default=[], metavar="KIND")
    parser.add_argument("--topic", action="append", default=[], metavar="TOPIC")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="examples of each verdict")
    parser.add_argument(
        "--pairs", type=int, default=100_000, metavar="N", help="at least so many (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes")
    parser.add_argument("--write", action="store_true", help="write tests/keys/truth/RESULTS.md")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
