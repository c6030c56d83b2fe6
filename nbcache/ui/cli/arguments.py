"""The command line of `nbcache …`: parsed and explained from the table of commands."""

import argparse
from typing import NoReturn

from nbcache import __version__
from nbcache.ui.cli.exit_codes import EXIT_CODES, FAILED
from nbcache.ui.cli.json_documents import UNITS, printed
from nbcache.ui.commands import table
from nbcache.ui.commands.parsing import Parser, complaint
from nbcache.ui.commands.records import TERMINAL


class _Parser(Parser):
    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, complaint(self.prog, message, f"`{self.prog} --help` tells more") + "\n")


def parser() -> argparse.ArgumentParser:
    """The parser of the whole line. Its result has the command's word as `word`, and always a `fix`, a `notebook` and a `scope`."""
    whole = _Parser(
        "nbcache",
        description="Look after the answers of LLM calls that nbcache keeps on disk.",
        epilog=f"`nbcache COMMAND --help` tells more. {EXIT_CODES}",
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"nbcache {__version__}")
    words = whole.add_subparsers(dest="word", required=True, metavar="COMMAND")
    for command in table.commands(TERMINAL):
        for word in command.names:
            does = command.help_in(TERMINAL)
            sub: _Parser = words.add_parser(
                word,
                help=does,
                description=f"{does[0].upper()}{does[1:]}.",
                epilog=f"--json prints {printed(word)}; {UNITS}. {EXIT_CODES}",
                allow_abbrev=False,
            )
            sub.set_defaults(fix=False, notebook=None, scope=None)
            command.add_to(sub, TERMINAL)
    return whole
