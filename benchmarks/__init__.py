"""nbcache beside what people use today, measured side by side: `python -m benchmarks` from the repository's root.

- `__main__.py`: the parts of the bench, in their order, and its options.
- `columns.py`, `rows.py`, `targets.py`: what is compared, what is measured, and what is to be reached.
- `figures.py`, `history.py`: all figures of a run, and the file of all releases that were measured.
- `report.py`, `markdown.py`, `HOW.md`: the page `RESULTS.md`, and the table in the docs.
- `kernels.py`: fresh kernels side by side. `kernel.py` is one, `cases.py` what is called in it, `kernel_hits.py` and
  `kernel_calls.py` its cells, `kernel_parts.py` their order.
- `instructions.py`: machine instructions; `counts.py` is what is counted. `timing.py`: times in alternation, in one process.
- `disk.py`: lookups and updates by hand, of all caches in one process. `contender.py`, `contenders.py` and `other_libraries.py`
  are these caches.
- `load.py`, `load_child.py`: what `%load_ext` takes in a fresh IPython.
- `crowd.py`, `size.py`, `traffic.py`: processes on one store, bytes on disk, messages of a panel.
- `redis_store.py`, `redis_bytes.py`: a store on a server, and what an entry takes there. `tiers.py`: a folder with one behind it.
- `team.py`: processes on one server, which is killed meanwhile.
- `growth.py`: what grows with a store; `big_store.py` makes large ones, `growth_pages.py` asks for pages, `transfer.py` exports
  and imports, `browser.py` paints a panel.
- `beside.py`: another version of nbcache beside this one.
- `model.py`, `replies.py`, `workload.py`, `corpus.py`, `provider.py`: the model, its answers, and real text for both.
- `machine.py`: what the figures were measured on. `processes.py`: how the bench starts others.
"""


class BenchError(Exception):
    """The bench would have reported a figure for something that did not happen."""
