"""The cells of a kernel, in their order. Each part is a cell of its own."""

from collections.abc import Callable
from functools import partial

from . import kernel_calls as calls
from . import kernel_hits as hits
from .cases import Cases
from .columns import IN_MEMORY, NBCACHE, NONE, SQLITE
from .kernel import Job, Kernel, Meter

_HITS = (
    *(hits.first_call, hits.firsts, hits.next_cell, hits.repeated, hits.settled),
    *(hits.called_back, hits.listened, hits.long_prompts, hits.chats),
)
_MANY = (hits.threads, hits.batch)
_STREAMS = (hits.streams, hits.awaited_streams)
_CLIENTS = (calls.sdk, calls.passing, calls.embeddings)
_AT_ONCE = (calls.at_once,)
Part = Callable[[Cases], None]


def run(kernel: Kernel, meter: Meter) -> None:
    """Run the cells of the kernel's job."""
    cases = Cases(kernel.job, meter)
    kernel.open_cache()
    for part in _parts(kernel.job):
        if part in _CLIENTS:
            kernel.settle()  # the words of the misses before are no part of what a client takes
        kernel.cell(partial(part, cases))
    kernel.settle()
    if kernel.job.what == "fill":
        kernel.keep_memory()


def _parts(job: Job) -> tuple[Part, ...]:
    if job.what == "fill":
        return (calls.fill,)
    if job.what == "memory":
        return (calls.memory,)
    is_timed, column = job.what == "measure", job.column
    parts: tuple[Part, ...] = ()
    if column in {NBCACHE, IN_MEMORY, SQLITE}:
        parts += (*_HITS, hits.awaited, *(_MANY if is_timed else ()))
    if column in {NBCACHE, NONE}:
        parts += (*(_STREAMS if job.model == "client" else ()), calls.uncached, *(_AT_ONCE if is_timed else ()))
        if not job.tree:
            parts += _CLIENTS if column == NBCACHE else (calls.sdk, calls.embeddings)
    return (*parts, calls.misses, *((calls.updates,) if column != NONE else ()))
