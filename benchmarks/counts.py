"""What other programs on the machine don't change: instructions, and the memory of many misses. Two processes at a time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import disk, instructions, kernels, load
from .cases import write_cases
from .columns import IN_MEMORY, NBCACHE, NONE
from .figures import INSTRUCTIONS, Figures
from .kernel import Amounts, Job

FEW = Amounts(questions=5, batches=1, long=1, chats=(1, 1, 1), streams=2, at_once=0, texts=5, requests=200)


def measure(folder: Path, amounts: Amounts, figures: Figures) -> None:
    """Count instructions of kernels, of lookups and updates by hand, and of `%load_ext`."""
    cases = folder / "cases.json"
    write_cases(cases, amounts)
    memory = Job(NBCACHE, str(folder / "memory"), str(cases), what="memory", amounts=amounts)
    jobs = [Job(column, str(folder / column), str(cases), amounts=FEW) for column in (NBCACHE, IN_MEMORY, NONE)]
    with ThreadPoolExecutor(2) as pool:
        grown = pool.submit(kernels.run, memory)
        tallies = []
        if not instructions.missing():
            tallies = [pool.submit(kernels.counted, job) for job in jobs]
            tallies += [pool.submit(disk.counted, folder), pool.submit(load.counted)]
    figures.add_all(grown.result())
    for tally in tallies:
        figures.add_all({INSTRUCTIONS: tally.result()})
