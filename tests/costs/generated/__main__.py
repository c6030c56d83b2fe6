"""Compare what nbcache says of tens of thousands of calls with sums done by hand.

    python -m tests.costs.generated                          all of them: 60 of each combination of settings
    python -m tests.costs.generated --number 2               fewer of each
    python -m tests.costs.generated --kind Gemini --show 5   one kind, and five examples of each verdict that isn't right

Each answer is one as its provider sends it, given to the provider's real client at its transport. Exits with 1 where a
figure is wrong, or a price is unknown that could be known.
"""

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.costs.generated.cases import KINDS, cases
from tests.costs.generated.compare import MISSING, RIGHT, UNKNOWN, WRONG, Comparer


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.costs.generated", description=__doc__.partition("\n")[0])
    parser.add_argument("--kind", action="append", default=[], choices=list(KINDS), metavar="KIND")
    parser.add_argument("--number", type=int, default=60, help="of each combination of settings (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--show", type=int, default=0, metavar="N", help="examples of each verdict that isn't right")
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    whole: Counter[str] = Counter()
    with Comparer() as comparer:
        for kind in given.kind or KINDS:
            begun, found, shown = time.monotonic(), Counter[str](), Counter[str]()
            for compared in comparer.compare(cases(kind, given.number, given.seed)):
                verdict = compared.verdict
                found[verdict] += 1
                if verdict in {WRONG, MISSING} and shown[verdict] < given.show:
                    shown[verdict] += 1
                    print(f"\n{verdict}: {compared}")
            whole += found
            counts = ", ".join(f"{found[each]:,} {each}" for each in (RIGHT, UNKNOWN, WRONG, MISSING))
            print(f"{kind}: {found.total():,} calls in {time.monotonic() - begun:.0f} s: {counts}", flush=True)
    print(f"\n{whole.total():,} calls, {whole[WRONG]:,} wrong, {whole[MISSING]:,} unknown that could be known")
    return 1 if whole[WRONG] or whole[MISSING] else 0


if __name__ == "__main__":
    sys.exit(main())
