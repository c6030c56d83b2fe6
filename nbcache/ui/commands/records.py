"""What a command is: its words, its options, and what is made of them for a parser and for help."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Flag
from typing import Any

from nbcache.entry.durations_and_sizes import seconds


class FrontEnd(Flag):
    """Where a command is typed."""

    LINE = 1
    CELL = 2
    TERMINAL = 4


LINE, CELL, TERMINAL = FrontEnd
EVERYWHERE = LINE | CELL | TERMINAL
PREFIXES = {LINE: "%llmcache", CELL: "%%llmcache", TERMINAL: "nbcache"}


@dataclass(frozen=True, slots=True)
class Option:
    """An option such as `--ttl`, or a value without a name such as `KEY`.

    `value` stands for what is typed after its name, and `example` is such a value; an option that has neither, nor
    choices, is a flag.
    """

    name: str
    help: str
    value: str = ""
    example: str = ""
    choices: tuple[str, ...] = ()
    type: Callable[[str], Any] | None = None
    default: Any = None
    repeats: bool = False
    is_optional: bool = False
    notebook_help: str = ""
    front_ends: FrontEnd = EVERYWHERE

    def only(self, front_end: FrontEnd) -> "Option":
        """The same option, of a command that has it in `front_end` only."""
        return replace(self, front_ends=front_end)

    def optional(self) -> "Option":
        """The same value, of a command that can do without."""
        return replace(self, is_optional=True)

    @property
    def is_named(self) -> bool:
        """Whether it is typed with its name."""
        return self.name.startswith("--")

    @property
    def is_flag(self) -> bool:
        """Whether no value follows its name."""
        return self.is_named and not (self.value or self.choices)

    @property
    def attribute(self) -> str:
        """What a parser's result calls it."""
        return self.name.removeprefix("--").replace("-", "_").lower()

    def usage(self, front_end: FrontEnd) -> str:
        """How it is typed: `--ttl 7d`. A terminal's help names a value, a notebook's gives an example."""
        example = self.value if front_end is TERMINAL else self.example or self.value
        return f"{self.name} {'|'.join(self.choices) or example}".rstrip()

    def help_in(self, front_end: FrontEnd) -> str:
        """What it does."""
        return self.help if front_end is TERMINAL else self.notebook_help or self.help

    def add_to(self, parser: "argparse._ActionsContainer", front_end: FrontEnd) -> None:
        """Make `parser` read it."""
        settings: dict[str, Any] = {"help": self.help_in(front_end).replace("%", "%%")}
        if self.is_flag:
            parser.add_argument(self.name, action="store_true", **settings)
            return
        if not self.is_named:
            nargs = "+" if self.repeats else "?" if self.is_optional else None
            settings |= {"metavar": self.name, "nargs": nargs}
        elif not self.choices:
            settings["metavar"] = self.value
        if self.repeats and self.is_named:
            settings |= {"action": "append", "default": []}
        else:
            settings |= {"choices": self.choices or None, "default": self.default}
        parser.add_argument(self.name if self.is_named else self.attribute, type=self.type or str, **settings)


@dataclass(frozen=True, slots=True)
class Command:
    """A command: `words` is what is typed for it, one word or several that take the same options.

    Of the options in `one_of` only one may be typed. `hint` ends a notebook's line of help.
    """

    words: str | tuple[str, ...]
    help: str
    options: tuple[Option, ...] = ()
    front_ends: FrontEnd = LINE | TERMINAL
    one_of: tuple[Option, ...] = ()
    hint: str = ""
    notebook_help: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The words, each of which names it."""
        return (self.words,) if isinstance(self.words, str) else self.words

    def options_in(self, front_end: FrontEnd) -> tuple[Option, ...]:
        """The options that it has in `front_end`."""
        return tuple(option for option in self.options if option.front_ends & front_end)

    def help_in(self, front_end: FrontEnd) -> str:
        """What it does."""
        return self.help if front_end is TERMINAL else self.notebook_help or self.help

    def usage(self, front_end: FrontEnd, word: str | None = None) -> str:
        """How `word` of it, or each of its words, is typed."""
        parts: list[str] = []
        for option in self.options_in(front_end):
            usage = option.usage(front_end)
            if option not in self.one_of:
                parts.append(usage if not (option.is_named or option.is_optional) else f"[{usage}]")
            elif option is self.one_of[0]:
                parts.append(f"[{' | '.join(each.usage(front_end) for each in self.one_of)}]")
        hint = [self.hint] if self.hint and front_end is not TERMINAL else []
        return " ".join([PREFIXES[front_end], word or "|".join(self.names), *parts, *hint])

    def add_to(self, parser: argparse.ArgumentParser, front_end: FrontEnd) -> None:
        """Make `parser` read its options."""
        options = self.options_in(front_end)
        group = parser.add_mutually_exclusive_group() if set(self.one_of) & set(options) else parser
        for option in options:
            option.add_to(group if option in self.one_of else parser, front_end)


def text(typed: str) -> str:
    """Some text to look for. Raises ArgumentTypeError."""
    if not typed:
        raise argparse.ArgumentTypeError("write the text to look for")
    return typed


def age(typed: str) -> str:
    """A time with its unit: a bare 7 may be meant as days, and as seconds it would select nearly all. Raises ArgumentTypeError."""
    bare = typed.strip()
    if bare.replace(".", "", 1).isdecimal():
        raise argparse.ArgumentTypeError(f"{bare} has no unit: write {bare}s, {bare}m, {bare}h or {bare}d")
    try:
        seconds(typed)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{typed!r}: write a time such as 90s, 12h or 7d") from None
    return typed


def age_or_none(typed: str) -> str:
    """The same, or `none`."""
    return typed if typed == "none" else age(typed)


def number(typed: str) -> int:
    """A number of things to list. Raises ArgumentTypeError."""
    if not typed.isdecimal() or not int(typed):
        raise argparse.ArgumentTypeError(f"{typed!r}: write a whole number above zero")
    return int(typed)
