"""What the words of `%llmcache` and `%%llmcache` do. Loaded when one is first typed."""

import argparse
import sys
from typing import Any

from IPython.core.display_functions import display
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from nbcache.cache.modes import MODES, REPLAY, Settings, settings
from nbcache.entry.edit import Edit
from nbcache.errors import UnknownKeyError
from nbcache.session import api, entry_changes, installation
from nbcache.session.placeholder_keys import missing_keys
from nbcache.session.worker_processes import warn_of_running
from nbcache.stores.base import Remote, tiers_of
from nbcache.stores.location import notebook_path, shown_notebook
from nbcache.ui import entry_report, report
from nbcache.ui.commands import table
from nbcache.ui.jupyter import arguments, html
from nbcache.ui.jupyter.config_traits import NBCache
from nbcache.ui.printing import say
from nbcache.ui.progress import progress

_LS = "%llmcache ls"


def run_cell(shell: InteractiveShell, line: str, code: str) -> None:
    """Run `code`, in which the words of `line` hold, within the cell that runs. Raises UsageError for other words."""
    arguments.parse_cell(line)
    cache = installation.installed()
    outer = cache.cell_settings
    try:
        shell.run_cell(code)  # type: ignore[no-untyped-call]
    finally:
        cache.enter_cell(cache.cell, outer)


class Words:
    """What each word does, in one shell."""

    def __init__(self, shell: InteractiveShell, config: NBCache) -> None:
        self.shell = shell
        self.settings = config

    def run(self, line: str) -> Any:
        """Do what `line` says. Raises UsageError, ValueError, TraitError, NbcacheError or OSError."""
        word, _, rest = line.strip().partition(" ")
        if (text := arguments.help_of(line)) is not None:
            say(text)
            return None
        if word == "cell":
            return self._for_this_cell(arguments.parse_cell(rest))
        args = arguments.parse(line)
        if args.word in MODES:
            return self._switch(args)
        try:
            return getattr(self, f"_{args.word}")(args)
        except UnknownKeyError as error:
            if args.word == "why":  # its keys are those of calls
                raise
            raise entry_report.unknown_key(error, installation.installed().contents(), args.key, _LS) from None

    def _for_this_cell(self, args: argparse.Namespace) -> None:
        cache = installation.installed()
        cache.enter_cell(cache.cell, settings(args.word, args.ttl, args.tag, samples=args.samples or None))
        warn_of_running(cache)

    def _switch(self, args: argparse.Namespace) -> None:
        arguments.refuse_password(args.store)
        options = {
            "store": args.store,
            "scope": args.scope,
            "max_bytes": args.max_size,
            "max_entries": args.max_entries,
        }
        changes = {name: value for name, value in options.items() if value is not None}
        wanted = settings(args.word, None if args.ttl == "none" else args.ttl, args.tag)
        if not installation.is_installed():
            self.settings.install(notebook_path(self.shell.user_ns))
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
        if cache.settings.mode == REPLAY and (missing := missing_keys(self.shell.user_ns)):
            say(report.no_key(missing))

    def _panel(self, _: argparse.Namespace) -> None:
        display(html.panel() if installation.is_installed() and self._has_widgets() else html.summary())  # type: ignore[no-untyped-call]

    def _has_widgets(self) -> bool:
        """Whether a page that can show widgets is open: programs that run notebooks without a page name none to the kernel."""
        in_kernel = getattr(self.shell, "kernel", None) is not None
        return in_kernel and (shown_notebook(self.shell.user_ns) is not None or "google.colab" in sys.modules)

    def _stats(self, args: argparse.Namespace) -> Any:
        cache = installation.installed()
        if args.by and args.cell:
            raise UsageError(
                f"--cell and --by {args.by} don't go together: `%llmcache last` has each call of the last cell"
            )
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
        with progress("searched") as searched:
            frame, unknown = api.listed(args.scope, table.filters(args), searched)
        note = unknown or installation.installed().contents(args.scope).unlisted
        if note:
            say(note)
        return frame

    def _show(self, args: argparse.Namespace) -> None:
        say(entry_report.record(api.show(args.key)))

    def _evict(self, args: argparse.Namespace) -> None:
        say(report.evicted(api.evict(args.key), installation.installed().store))

    def _where(self, _: argparse.Namespace) -> None:
        say(report.where(installation.installed()))

    def _check(self, args: argparse.Namespace) -> None:
        with progress("checked") as shown:
            problems = api.check(fix=args.fix, progress=shown)
        say(report.checked(problems, installation.installed().store, fix=args.fix, command="%llmcache check"))

    def _clear(self, args: argparse.Namespace) -> None:
        if not args.dry_run and not args.yes:
            self._spare_the_team(args)
        with progress("searched") as searched, progress("deleted") as deleted:
            which = {"progress": searched, "deleted": deleted, **table.filters(args)}
            done, unknown = api.cleared(args.scope, dry_run=args.dry_run, **which)
        say(report.cleared(done, installation.installed().store, dry_run=args.dry_run))
        if unknown:
            say(unknown)

    @staticmethod
    def _spare_the_team(args: argparse.Namespace) -> None:
        """Raise UsageError if a clear would delete what others on a server have: a cell is run by accident, too."""
        cache = installation.installed()
        writable = getattr(cache.store, "writable", (0,))
        servers = [each for at, each in enumerate(tiers_of(cache.store)) if at in writable and isinstance(each, Remote)]
        if not servers or cache.contents(args.scope).notebook is not None:
            return
        done, _ = api.cleared(args.scope, dry_run=True, **table.filters(args))
        if done.deleted:
            raise UsageError(
                f"this {report.would_clear(done)}, of everybody who uses {servers[0].url}. Nothing was changed: look first "
                "with `--dry-run`, then add `--yes`"
            )

    def _expire(self, args: argparse.Namespace) -> None:
        if args.ttl is None:
            raise UsageError("expire: write --ttl with a time such as 7d, or `--ttl none` to keep the entries for good")
        self._change(args, entry_changes.expiry(args.ttl), args.key)

    def _tag(self, args: argparse.Namespace) -> None:
        key, tags = table.key_and_tags(args)
        self._change(args, Edit(add=entry_changes.checked_tags(tags)), key)

    def _untag(self, args: argparse.Namespace) -> None:
        key, tags = table.key_and_tags(args)
        self._change(args, Edit(remove=entry_changes.checked_tags(tags)), key)

    @staticmethod
    def _change(args: argparse.Namespace, change: Edit, key: str | None) -> None:
        with progress("searched") as searched, progress("changed") as edited:
            options = {"scope": args.scope, "dry_run": args.dry_run, "progress": searched, "edited": edited}
            done, unknown = entry_changes.changed(change, key, args.word, table.filters(args) | options)
        say(report.changed(done, change, installation.installed().store, dry_run=args.dry_run))
        if unknown:
            say(unknown)

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
        with progress("read") as read, progress("stored") as stored:
            done = api.import_cassette(args.file, args.prefer, args.dry_run, progress=read, stored=stored)
        say(report.imported(done, installation.installed().store, dry_run=args.dry_run))
