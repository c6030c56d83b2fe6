"""The parser of a command's words: it says in one line what is wrong, and what a misspelt word was meant for."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from nbcache.errors import one_line

_PLAIN = {  # what argparse says, and a shorter way to say it
    "not allowed with argument": "does not go together with",
    "the following arguments are required: ": "this is missing: ",
    "expected one argument": "its value is missing",
    "argument ": "",
}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a complaint about an unknown word: `; did you mean --model?`. Empty if no known word is near it."""
    by_letters = {each.lstrip("-"): each for each in known}
    close = difflib.get_close_matches(word.lstrip("-").lower(), by_letters, 1)
    return f"; did you mean {by_letters[close[0]]}?" if close else ""


def complaint(prog: str, message: str, advice: str) -> str:
    """One line: which command it is about, what is wrong, and `advice` on where to read more."""
    for long, short in _PLAIN.items():
        message = message.replace(long, short)
    return one_line(f"{prog}: {message}{'' if message.endswith('?') else '.'} {advice}")


def _unexpected(word: str, words: Sequence[str]) -> str:
    """The complaint about a word that nothing takes: it has no password, and says how several stores are written."""
    from nbcache.stores.opening import shown  # noqa: PLC0415 - few words are wrong

    before = ["", "", *words[: words.index(word)]]
    is_store = before[-2] == "--store" or before[-1].startswith("--store=")
    return f"unexpected {shown(word)!r}" + (
        '; write several stores in quotes, as --store "disk, URL"' if is_store else ""
    )


class Parser(argparse.ArgumentParser):
    """A parser of the words of a command. Subclasses say in `error` how they end."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]  # typeshed overloads it
        """As argparse's, but a word that nothing takes is an error: also one of a command's, which has its own parser."""
        words = sys.argv[1:] if args is None else list(args)
        self._refuse_misspelt(words)
        known, rest = super().parse_known_args(words, namespace)
        if rest:
            self.error(_unexpected(rest[0], words) + did_you_mean(rest[0], self._option_string_actions))
        return known, rest

    def _refuse_misspelt(self, words: Sequence[str]) -> None:
        """Refuse an option that there isn't, before a complaint about what else is wrong or missing."""
        options = self._option_string_actions
        for word in words:
            name = word.partition("=")[0]
            if word == "--" or (self._subparsers is not None and not word.startswith("-")):
                return  # only values follow, or the command's own words
            if word.startswith("--") and " " not in word and name not in options:
                self.error(f"no option {name}{did_you_mean(name, options)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        known = [str(choice) for choice in action.choices or ()]
        if known and value not in known:
            advice = did_you_mean(str(value), known) or f"; write one of {', '.join(known)}"
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse's name for that of the commands
                self.error(f"no command {value}{advice}")
            raise argparse.ArgumentError(action, f"no {value!r}{advice}")
