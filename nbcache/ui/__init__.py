"""What a person meets: the only place that knows IPython.

The front ends: `jupyter/` (magics), `panel/` (the widget), `cli/` (the command line), `pytest_plugin/`. `commands/` is the
one table of commands. `report.py` has the texts that front ends share, and `entry_report.py` that of one entry.
`tier_texts.py` names the tiers of a store, and `folder_notes.py` has what `where` says of its folders.
`printing.py` prints, and `progress.py` shows the progress of long work.
"""
