"""What `%load_ext nbcache` does to a shell: the magic, the settings, and what runs before and after each cell.

What `%llmcache` does is loaded when it is first typed.
"""

import os
from types import SimpleNamespace
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class
from langchain_core.globals import get_llm_cache
from traitlets import TraitError

from nbcache.cache.misses.swallowed import take_swallowed
from nbcache.errors import NbcacheError, harmless, warn_once
from nbcache.keys import identity
from nbcache.keys.ignored.langchain_parameters import ignore_also
from nbcache.session import installation, progress_line
from nbcache.session.repeated_calls import tell_repeats
from nbcache.session.worker_processes import warn_of_others
from nbcache.stores.location import notebook_path
from nbcache.ui.jupyter.config_traits import NBCache
from nbcache.ui.jupyter.new_ids import NewIds
from nbcache.ui.jupyter.notebook_renames import Follower
from nbcache.ui.jupyter.short_tracebacks import shorten, show_whole

_NAME = "llmcache"


def _documentation() -> str:
    """What `%llmcache?` shows."""
    from nbcache.ui.jupyter.arguments import documentation  # noqa: PLC0415 - few ask for it

    return f"{CacheMagics.llmcache.__doc__}\n\n{documentation()}\n"


class NotLoadedError(NbcacheError, ValueError):
    """A setting is wrong, and the environment sets a mode. IPython shows it in one line, and counts the cell as failed."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


@magics_class
class CacheMagics(Magics):
    """The magic of one shell, and what runs around its cells."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, config: NBCache) -> None:
        super().__init__(shell)
        self.settings = config
        # Some releases of IPython count a cell before `pre_run_cell`, others after the cell has run.
        self._count, self._ahead = shell.execution_count, 0
        self._depth = 0
        self._follower = Follower()
        self._new_ids = NewIds()

    @line_cell_magic(_NAME)  # type: ignore[arg-type]  # IPython types its decorators for functions
    def llmcache(self, line: str, cell: str | None = None) -> Any:
        """Steer the cache of LLM calls."""
        from nbcache.ui.jupyter.magics import Words, run_cell  # noqa: PLC0415 - most notebooks never type it

        if cell is not None:  # called by `run_cell_magic`; `as_line` has rewritten a cell that a user typed
            return run_cell(self.shell, line, as_line([f"%%{_NAME} {line}\n", cell])[0] + cell)
        try:
            return Words(self.shell, self.settings).run(line)
        except (UsageError, ValueError, TraitError, NbcacheError, OSError) as error:
            raise UsageError(harmless(str(error))) from None

    llmcache.getdoc = _documentation  # type: ignore[assignment]  # IPython asks a magic for it before its docstring

    # Around each cell

    def before_cell(self, info: ExecutionInfo) -> None:
        """Note which cell begins."""
        self._depth += 1
        if self._depth > 1:
            return  # a cell within a cell: the outer cell's settings hold
        self._count = self.shell.execution_count
        self._follower.follow(notebook_path(self.shell.user_ns), getattr(info, "cell_id", None))
        if installation.is_installed():
            label = f"In [{self._count - self._ahead}]"
            installation.installed().enter_cell(getattr(info, "cell_id", None) or label, label=label)

    def after_cell(self, result: ExecutionResult) -> None:
        """End the cell's mode, write down its hits, and print notices about it."""
        self._depth = max(0, self._depth - 1)
        if self._depth:
            return
        if result.info is not None and result.info.store_history and result.execution_count is not None:
            self._ahead = self._count - result.execution_count
        self._fail_after_replay(result)
        if not installation.is_installed():
            return
        installation.installed().leave_cell()
        tell_repeats()
        self._new_ids.look(installation.installed())
        warn_of_others(installation.installed())
        if self.settings.footer:
            self._foot()
        if get_llm_cache() is not installation.installed():
            warn_once(
                "replaced",
                "nbcache: another cache has been set as LangChain's global one; `%llmcache on` takes it back",
            )

    def _fail_after_replay(self, result: ExecutionResult) -> None:
        """Fail a cell that swallowed a ReplayMiss: its results are not those that were recorded."""
        lost = take_swallowed()
        if lost and result.success:
            result.error_in_exec = lost[0]
            self.shell.showtraceback((type(lost[0]), lost[0], None))

    def _foot(self) -> None:
        ledger = installation.installed().ledger
        rows = ledger.cells()
        if rows and rows[-1].execution == ledger.execution():
            from nbcache.ui.printing import say  # noqa: PLC0415 - few want it
            from nbcache.ui.report import footer  # noqa: PLC0415

            say(footer(rows[-1]))


def as_line(lines: list[str]) -> list[str]:
    """Rewrite a cell that begins with `%%llmcache` into one that begins with a call, followed by its body.

    So top-level `await`, the last expression's value and line numbers work as in any other cell, which they don't in a
    cell magic that runs its body itself.
    """
    if not lines or lines[0].split(maxsplit=1)[:1] != [f"%%{_NAME}"]:
        return lines
    words = "cell " + lines[0].strip().partition(" ")[2]
    head = f"get_ipython().run_line_magic({_NAME!r}, {words!r})\n"
    inner = next((i for i, line in enumerate(lines[1:], 1) if line.strip()), 0)
    if inner and lines[inner].startswith("%%"):  # another cell magic below ours
        name, _, line = lines[inner][2:].strip().partition(" ")
        body = "".join(lines[inner + 1 :])
        return [head, f"get_ipython().run_cell_magic({name!r}, {line!r}, {body!r})\n"]
    return [head, *lines[1:]]


def _complete(_: InteractiveShell, event: SimpleNamespace) -> list[str]:
    from nbcache.ui.jupyter.arguments import completions  # noqa: PLC0415 - as above

    return completions(event.text_until_cursor)


def _output_line() -> progress_line.Line | None:
    from nbcache.ui.jupyter.progress_output import output_line  # noqa: PLC0415 - as above

    return output_line()


_loaded: dict[InteractiveShell, CacheMagics] = {}


def load(shell: InteractiveShell) -> None:
    """Turn the cache on in `shell`: magics, hooks, settings. A second call changes nothing.

    Raises UsageError, and leaves nothing behind, not even the wrong value, if a setting is wrong. If the environment sets a
    mode, a NotLoadedError is raised: nbval doesn't count a UsageError as a failure, and calls that should be replayed would
    be sent.
    """
    if shell in _loaded:
        return
    try:
        config = NBCache(parent=shell)
        config.install(notebook_path(shell.user_ns))
    except (ValueError, TraitError, NbcacheError, OSError) as error:
        text = f"nbcache is not on: {error}"
        if refused := NBCache.forget_refused(shell.config):
            names = ", ".join(f"NBCache.{name}" for name in refused)
            text += f". {names} is forgotten: set it again, then `%load_ext nbcache`"
        if os.environ.get("NBCACHE_MODE"):
            raise NotLoadedError(text) from None
        raise UsageError(harmless(text)) from None
    magics = CacheMagics(shell, config)
    _loaded[shell] = magics
    shell.register_magics(magics)
    shell.configurables.append(config)  # type: ignore[arg-type]  # IPython types it by its first member
    shell.events.register("pre_run_cell", magics.before_cell)
    shell.events.register("post_run_cell", magics.after_cell)
    shell.input_transformers_cleanup.append(as_line)
    shorten(shell)
    progress_line.notebook.line = _output_line
    for name in (f"%{_NAME}", f"%%{_NAME}"):
        shell.set_hook("complete_command", _complete, str_key=name)  # type: ignore[no-untyped-call]


def unload(shell: InteractiveShell) -> None:
    """Undo `load` completely. Does nothing if the environment has set `replay`, which then stays."""
    if installation.is_installed() and installation.installed().is_locked:
        installation.uninstall()  # it says why the cache stays on
        return
    magics = _loaded.pop(shell, None)
    if magics is None:
        return
    shell.events.unregister("pre_run_cell", magics.before_cell)
    shell.events.unregister("post_run_cell", magics.after_cell)
    shell.input_transformers_cleanup.remove(as_line)
    for configurable in (magics, magics.settings):  # IPython adds the magics to the list, and never removes them
        shell.configurables.remove(configurable)  # type: ignore[arg-type]  # as above
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop(_NAME, None)
    shell.magics_manager.registry.pop(type(magics).__name__, None)
    for name in (f"%{_NAME}", f"%%{_NAME}"):
        shell.strdispatchers["complete_command"].strs.pop(name, None)
    show_whole(shell)
    progress_line.notebook.line = None
    ignore_also(())
    identity.forget()
    installation.uninstall()
