"""The magics and the settings of IPython.

`extension.py` is what `%load_ext` does, with what runs around each cell. `magics.py` has the words of the magics, and
`arguments.py` parses their lines. `config_traits.py` is `%config NBCache`, `html.py` the output, and `progress_output.py` the
line of long work. `short_tracebacks.py` ends the traceback of an error of nbcache's at the user's line. After a cell, `new_ids.py` warns of ids that are new in each run. `notebook_renames.py` follows a renamed notebook.
"""
