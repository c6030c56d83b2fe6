"""The exit codes of `nbcache …`."""

DONE, NOTHING, FAILED, INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = """\
Exit codes: 0 done; 1 no such key, notebook or store, a file out of date, a check found what it didn't mend, or you said no; 2 wrong usage, or a
store that can't be read; 130 interrupted."""
