"""The magics and the settings of IPython.

`extension.py` is what `%load_ext` does, with what runs around each cell. `magics.py` has the words of the magics, and
`arguments.py` parses their lines. `config_traits.py` is `%config NBCache`, and `html.py` the output. After a cell, `new_ids.py` warns of ids that are new in each run.
`notebook_renames.py` follows a renamed notebook.
"""
