"""`%llmcache` and `%%llmcache`, and what nbcache does before and after each cell."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from IPython.core.display_functions import display
from IPython.core.error import UsageError
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class
from langchain_core.globals import get_llm_cache
from traitlets import TraitError

from nbcache.cache.misses.swallowed import take_swallowed
from nbcache.cache.modes import MODES, Settings, settings
from nbcache.errors import NbcacheError, UnknownKeyError, harmless, warn_once
from nbcache.keys import identity
from nbcache.keys.ignored.langchain_parameters import ignore_also
from nbcache.session import api, installation
from nbcache.session.repeated_calls import tell_repeats
from nbcache.session.worker_processes import warn_of_others, warn_of_running
from nbcache.stores.location import notebook_path, shown_notebook
from nbcache.ui import report
from nbcache.ui.commands import table
from nbcache.ui.jupyter import arguments, html
from nbcache.ui.jupyter.config_traits import NBCache
from nbcache.ui.jupyter.new_ids import NewIds
from nbcache.ui.jupyter.notebook_renames import Follower
from nbcache.ui.printing import say
from nbcache.ui.progress import progress

_NAME = "llmcache"
_Magic = TypeVar("_Magic", bound=Callable[..., Any])


def _documented(magic: _Magic) -> _Magic:
    """Let `%llmcache?` show every command."""
    magic.__doc__ = f"{magic.__doc__}\n\n{arguments.documentation()}\n"
    return magic


@magics_class
class CacheMagics(Magics):
    """The magics of one shell."""

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
    @_documented
    def llmcache(self, line: str, cell: str | None = None) -> Any:
        """Steer the cache of LLM calls."""
        if cell is not None:  # called by `run_cell_magic`; `as_line` has rewritten a cell that a user typed
            arguments.parse_cell(line)
            cache = installation.installed()
            outer = cache.cell_settings
            try:
                self.shell.run_cell(as_line([f"%%{_NAME} {line}\n", cell])[0] + cell)  # type: ignore[no-untyped-call]
            finally:
                cache.enter_cell(cache.cell, outer)
            return None
        try:
            return self._do(line)
        except (UsageError, ValueError, TraitError, NbcacheError, OSError) as error:
            raise UsageError(harmless(str(error))) from None

    def _do(self, line: str) -> Any:
        word, _, rest = line.strip().partition(" ")
        if (text := arguments.help_of(line)) is not None:
            say(text)
            return None
        if word == "cell":
            return self._for_this_cell(arguments.parse_cell(rest))
        args = arguments.parse(line)
        if args.word in MODES:
            return self._switch(args)
        return getattr(self, f"_{args.word}")(args)

    def _for_this_cell(self, args: argparse.Namespace) -> None:
        cache = installation.installed()
        cache.enter_cell(cache.cell, settings(args.word, args.ttl, args.tag, samples=args.samples or None))
        warn_of_running(cache)

    def _switch(self, args: argparse.Namespace) -> None:
        options = {
            "store": args.store,
            "scope": args.scope,
            "max_bytes": args.max_size,
            "max_entries": args.max_entries,
        }
        changes = {name: value for name, value in options.items() if value is not None}
        wanted = settings(args.word, None if args.ttl == "none" else args.ttl, args.tag)
        if not installation.is_installed():
            self.settings.install(self._notebook())
        if changes:
            installation.reinstall(**changes)
        elif installation.take_back():
            say("nbcache is LangChain's global cache again")
        cache = installation.installed()
        current = cache.settings
        ttl = None if args.ttl == "none" else wanted.ttl or current.ttl
        cache.switch(Settings(wanted.mode, ttl, wanted.tags or current.tags))
        warn_of_running(cache)
        say(report.status(cache))

    def _notebook(self) -> Path | None:
        return notebook_path(self.shell.user_ns)

    def _panel(self, _: argparse.Namespace) -> None:
        display(html.panel() if installation.is_installed() and self._has_widgets() else html.summary())  # type: ignore[no-untyped-call]

    def _has_widgets(self) -> bool:
        """Whether a page that can show widgets is open: programs that run notebooks without a page name none to the kernel."""
        in_kernel = getattr(self.shell, "kernel", None) is not None
        return in_kernel and (shown_notebook(self.shell.user_ns) is not None or "google.colab" in sys.modules)

    def _stats(self, args: argparse.Namespace) -> Any:
        cache = installation.installed()
        if args.by and args.cell:
            raise UsageError("--cell and --by model don't go together: `%llmcache last` has each call of the last cell")
        if args.by:
            return api.stats(args.scope, lifetime=args.lifetime, by=args.by)
        if args.cell:
            cells = cache.ledger.cells()
            say(report.footer(cells[-1]) if cells else "no cell has called a model yet")
        else:
            display(html.stats(cache, args.scope, lifetime=args.lifetime))  # type: ignore[no-untyped-call]
        return None

    def _last(self, _: argparse.Namespace) -> Any:
        return api.last()

    def _ls(self, args: argparse.Namespace) -> Any:
        return api.entries(args.scope)

    def _show(self, args: argparse.Namespace) -> None:
        say(report.record(api.show(args.key)))

    def _evict(self, args: argparse.Namespace) -> None:
        say(report.evicted(api.evict(args.key), installation.installed().store))

    def _where(self, _: argparse.Namespace) -> None:
        say(report.where(installation.installed()))

    def _check(self, args: argparse.Namespace) -> None:
        with progress("checked") as shown:
            problems = api.check(fix=args.fix, progress=shown)
        say(report.checked(problems, installation.installed().store, fix=args.fix, command="%llmcache check"))

    def _clear(self, args: argparse.Namespace) -> None:
        with progress("searched") as searched, progress("deleted") as deleted:
            which = {"progress": searched, "deleted": deleted, **table.filters(args)}
            done = api.clear(scope=args.scope, dry_run=args.dry_run, **which)
        say(report.cleared(done, installation.installed().store, dry_run=args.dry_run))

    def _export(self, args: argparse.Namespace) -> None:
        with progress("exported") as shown:
            done = api.export_cassette(args.file, args.used, check=args.check, progress=shown)
        if args.check and done.changed:
            how = "%llmcache export --used" if args.used else "%llmcache export"
            raise UsageError(f"{done.path} is out of date: `{how}` writes it anew")
        say(report.exported(done))

    def _why(self, args: argparse.Namespace) -> None:
        try:
            say(str(api.why(args.key)))
        except UnknownKeyError as error:
            if args.key is not None:
                raise
            say(str(error))  # a notebook that is run again and misses nothing goes on

    def _plan(self, _: argparse.Namespace) -> None:
        installation.installed()
        try:
            say(report.plan(api.plan()))
        except ValueError as error:
            say(str(error))  # so does one that is run for the first time

    def _import(self, args: argparse.Namespace) -> None:
        with progress("read") as shown:
            done = api.import_cassette(args.file, args.prefer, args.dry_run, progress=shown)
        say(report.imported(done, installation.installed().store, dry_run=args.dry_run))

    # Around each cell

    def before_cell(self, info: ExecutionInfo) -> None:
        """Note which cell begins."""
        self._depth += 1
        if self._depth > 1:
            return  # a cell within a cell: the outer cell's settings hold
        self._count = self.shell.execution_count
        self._follower.follow(self._notebook(), getattr(info, "cell_id", None))
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
            say(report.footer(rows[-1]))


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
    return arguments.completions(event.text_until_cursor)


_loaded: dict[InteractiveShell, CacheMagics] = {}


def load(shell: InteractiveShell) -> None:
    """Turn the cache on in `shell`: magics, hooks, settings. A second call changes nothing.

    Raises UsageError, and leaves nothing behind, if a setting is wrong. If the environment sets a mode, the error itself is
    raised: nbval doesn't count a UsageError as a failure, and calls that should be replayed would be sent.
    """
    if shell in _loaded:
        return
    try:
        config = NBCache(parent=shell)
        config.install(notebook_path(shell.user_ns))
    except (ValueError, TraitError, NbcacheError, OSError) as error:
        if os.environ.get("NBCACHE_MODE"):
            raise
        raise UsageError(harmless(f"nbcache is not on: {error}")) from None
    magics = CacheMagics(shell, config)
    _loaded[shell] = magics
    shell.register_magics(magics)
    shell.configurables.append(config)  # type: ignore[arg-type]  # IPython types it by its first member
    shell.events.register("pre_run_cell", magics.before_cell)
    shell.events.register("post_run_cell", magics.after_cell)
    shell.input_transformers_cleanup.append(as_line)
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
    ignore_also(())
    identity.forget()
    installation.uninstall()
