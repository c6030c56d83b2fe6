"""Errors that a call of nbcache raises are shown at the user's line: what lies below it in nbcache says nothing to a user.

`%xmode Verbose` shows it.
"""

from types import TracebackType

from IPython.core.interactiveshell import InteractiveShell

from nbcache.concurrency.user_frames import is_of_python, is_ours
from nbcache.errors import NbcacheError

# What nbcache raises on purpose, and an interrupt. Another error within nbcache is a fault of it, and shown whole.
_RAISED = (NbcacheError, ValueError, TypeError, OSError, KeyboardInterrupt)


def shorten(shell: InteractiveShell) -> None:
    """Show such errors short in `shell`, unless somebody shows errors in their own way there."""
    if not shell.custom_exceptions:
        shell.set_custom_exc(_RAISED, _show)  # type: ignore[no-untyped-call]


def show_whole(shell: InteractiveShell) -> None:
    """Undo `shorten`."""
    if shell.custom_exceptions is _RAISED:
        shell.set_custom_exc((), None)  # type: ignore[no-untyped-call]


def _show(
    shell: InteractiveShell,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> None:
    """Show an error as the shell does, but for the part of its traceback that lies in nbcache."""
    short = None if shell.InteractiveTB.mode == "Verbose" else _up_to_the_user(trace)
    exception = None if short is None else (kind, error, short)
    shell.showtraceback(exception, tb_offset=tb_offset, running_compiled_code=True)


def _up_to_the_user(trace: TracebackType) -> TracebackType | None:
    """The traceback as far as the line that called nbcache. None if the error wasn't raised in nbcache."""
    steps = [trace]
    while steps[-1].tb_next is not None:
        steps.append(steps[-1].tb_next)
    kept = len(steps)
    while kept and (is_ours(steps[kept - 1].tb_frame) or is_of_python(steps[kept - 1].tb_frame)):
        kept -= 1
    if kept in {0, len(steps)} or not is_ours(steps[kept].tb_frame):
        return None
    short: TracebackType | None = None
    for step in reversed(steps[:kept]):
        short = TracebackType(short, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return short
