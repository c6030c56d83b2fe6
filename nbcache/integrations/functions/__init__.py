"""Functions of the user's own and tools of LangChain's, cached call by call: `nbcache.memoize`, `nbcache.wrap(tool)`.

`decorator.py` makes the memoized function, of what `options.py` has checked: `wrappers.py` has one for each kind of function,
`methods.py` is one that is a method, and `signatures.py` is what a type checker sees. `memoized.py` is what the wrappers share.
None of these loads LangChain: what a call needs besides is loaded with the first call while a cache is on. `call_course.py` is
one call: its key, its lookup, and its value's way into the store. `generators.py` records the items of a generator, and plays
them, step by step (`stepping.py`). `entries.py` finds the entries of a function. `tools.py` makes the wrapped tool, whose calls take the same course.
"""
