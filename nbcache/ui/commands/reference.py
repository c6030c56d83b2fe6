"""`docs/commands.md`, made from the table of commands: `python -m nbcache.ui.commands.reference > docs/commands.md`."""

from collections.abc import Sequence

from nbcache.ui.cli.exit_codes import EXIT_CODES
from nbcache.ui.cli.json_documents import FIELDS, UNITS, printed
from nbcache.ui.commands import table
from nbcache.ui.commands.records import CELL, LINE, TERMINAL, Command, FrontEnd
from nbcache.ui.printing import say

_HEAD = """\
# Commands

`%llmcache` is typed in a notebook, `%%llmcache` at the top of a cell, and `nbcache` in a terminal. This page is made from
`nbcache/ui/commands/table.py` by `python -m nbcache.ui.commands.reference`.
"""
_TAIL = """\
## In a terminal

Every command takes `--help`. With `--json` it prints one document: {units}. {exit_codes}
"""
_FEW = 4  # groups of fields that are told in a sentence
_NAMES = {LINE: "`%llmcache`", CELL: "`%%llmcache`", TERMINAL: "`nbcache`"}


def page() -> str:
    """The page, in Markdown."""
    words = dict.fromkeys(command.names for command in table.COMMANDS)
    sections = [_section([command for command in table.COMMANDS if command.names == each]) for each in words]
    tail = _TAIL.format(units=UNITS, exit_codes=" ".join(EXIT_CODES.split()))
    return "\n".join([_HEAD, *sections, tail])


def _section(commands: Sequence[Command]) -> str:
    """What is to be known of the commands of the same words."""
    typed = [(command, front_end) for command in commands for front_end in FrontEnd if front_end in command.front_ends]
    lines = [f"## {', '.join(commands[0].names)}", ""]
    lines += [f"- {_NAMES[front_end]}: {_sentence(command.help_in(front_end))}" for command, front_end in typed]
    lines += ["", "```text", *(command.usage(front_end) for command, front_end in typed), "```", ""]
    options: dict[tuple[str, str], list[str]] = {}
    for command, front_end in typed:
        for option in command.options_in(front_end):
            default = f" (default: {option.default})" if option.default else ""
            row = option.usage(TERMINAL), _sentence(f"{option.help_in(front_end)}{default}")
            options.setdefault(row, []).append(_NAMES[front_end])
    if options:
        lines += ["| option | in | what it does |", "|---|---|---|"]
        lines += [
            f"| `{_in_table(usage)}` | {', '.join(where)} | {_in_table(does)} |"
            for (usage, does), where in options.items()
        ]
        lines.append("")
    if any(front_end is TERMINAL for _, front_end in typed):
        lines += [*_json(commands[0].names[0]), ""]
    return "\n".join(lines)


def _json(word: str) -> list[str]:
    """What `--json` prints: a line, or a list if it is long."""
    document, fields = FIELDS[word]
    if len(fields) <= _FEW:
        return [f"`--json` prints {printed(word)}."]
    rows = [f"- {_code(names)}{note and f': {note}'}" for names, note in fields.items()]
    return [f"`--json` prints {document}:", "", *rows]


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _in_table(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    say(page().rstrip("\n"))
