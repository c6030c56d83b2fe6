"""The table of commands. Parsers, completions, help and `docs/commands.md` are all made from it.

A command that is added here also needs what it does: `ui/jupyter/magics.py` for a notebook, `ui/cli/handlers.py` for a terminal.
"""

import argparse
from typing import Any

from nbcache.cache.modes import FOLDER, MODES, SCOPES
from nbcache.entry.filter import KINDS
from nbcache.entry.records import STATUSES
from nbcache.ui.commands.records import (
    CELL,
    LINE,
    TERMINAL,
    Command,
    FrontEnd,
    Option,
    age,
    age_or_none,
    number,
    text,
)

# Options, each once. Those that are not for all front ends say for which.

TTL = Option("--ttl", "how long new answers are kept: 90s, 12h, 7d (`none`, not in a cell: for good)", "AGE", "7d")
NEW_TAG = Option("--tag", "a tag for new entries", "T", repeats=True)
SAMPLES = Option("--samples", "each of several identical calls gets an answer of its own")
MAX_SIZE = Option("--max-size", "how much is kept; the least recently used is evicted first", "SIZE", "2GB")
MAX_ENTRIES = Option(
    "--max-entries", "how many entries are kept; the least recently used is evicted first", "N", type=int
)
SCOPE = Option(
    "--scope", "whose entries: this notebook's, or the whole folder's or store's", choices=SCOPES, front_ends=LINE
)
EVERYBODY = Option(
    "--scope", "everybody's entries, in a store on a server too", choices=(FOLDER, "store"), front_ends=TERMINAL
)
STORE = Option(
    "--store",
    "a folder, disk:///path, redis://host, user or tiers; else NBCACHE_STORE, NBCACHE_DIR or the nearest .nbcache",
    "PLACE",
    "URL|user",
    notebook_help="where entries are kept: a folder, disk:///path, memory://, redis://host or user",
)
CELL_ONLY = Option("--cell", "only the last cell", front_ends=LINE)
LIFETIME = Option("--lifetime", "all calls that the store's ledger knows, not only this session's", front_ends=LINE)
BY = Option("--by", "a row for each model, or for each kind of call", choices=("model", "kind"))
KEY = Option("KEY", "a key, or its first digits")
KEY_TO_EVICT = Option("KEY", "a key, or at least its first 4 digits")
LIMIT = Option("--limit", "list at most N (in a terminal 50, else all)", "N", type=number)
STATUS = Option("--status", "only answers like these", choices=STATUSES)
OLDER_THAN = Option("--older-than", "only what was stored that long ago: 90s, 12h, 7d", "AGE", "7d", type=age)
NOT_HIT_SINCE = Option(
    "--not-hit-since", "only what was not hit for so long, nor stored: 90s, 12h, 7d", "AGE", "30d", type=age
)
LARGER_THAN = Option("--larger-than", "only what takes more: 20000, 20kB, 2MB", "SIZE", "20kB")
CHEAPER_THAN = Option("--cheaper-than", "only what costs less to pay again, in US dollars", "USD", "0.01")
MODEL = Option("--model", "only those of this model, or of models such as `gpt-4o*`", "M", type=text)
FUNCTION = Option("--function", "only those of this function or tool, or of such as `Judge.*`", "F", type=text)
KIND = Option("--kind", "only those that this has made", choices=KINDS)
CELL_ID = Option("--cell", "only those that this cell has stored first", "ID", type=text)
CLIENT = Option("--client", "only those of this client: `langchain`, or an API such as `openai`", "C", type=text)
TAG = Option("--tag", "only those with this tag", "T", type=text)
MATCH = Option(
    "--match", "only those with TEXT in prompt or answer, or whose whole prompt is like `Q3*`", "TEXT", type=text
)
UNUSED = Option(
    "--unused", "only what was never hit", notebook_help="only what this session has neither hit nor stored"
)
EXPIRES = Option(
    "--ttl",
    "when they expire, from now on: 90s, 12h, 7d (`none`: they are kept for good)",
    "AGE",
    "7d",
    type=age_or_none,
)
TAGS = Option("TAGS", "one tag or several", repeats=True)
KEY_TO_CHANGE = Option(
    "KEY", "a key, or at least its first 4 digits, unless filters choose the entries", is_optional=True
)
DRY_RUN = Option("--dry-run", "only say how much it would be")
EXPORT_FILE = Option("FILE", "the file (else the one beside the notebook)", is_optional=True)
USED = Option("--used", "only what this session has hit or stored", front_ends=LINE)
UP_TO_DATE = Option(
    "--check",
    "write nothing; exit with 1 where the file is out of date",
    notebook_help="write nothing; raise an error if the file is out of date",
)
SECRET = Option("--secret", "what else is a secret", "RE", repeats=True, front_ends=TERMINAL)
IMPORT_FILE = Option("FILE", "a cassette, or the file of LangChain's SQLiteCache")
PREFER = Option(
    "--prefer",
    "which answer stays in a conflict (file: after asking)",
    choices=("store", "file"),
    default="store",
    notebook_help="which answer stays in a conflict",
)
IMPORT_DRY_RUN = Option("--dry-run", "only say how many are new, the same and conflicting")
FIX = Option(
    "--fix",
    "mend it: damaged entries are deleted, after asking",
    notebook_help="mend it: damaged entries are deleted",
)
YES = Option(
    "--yes",
    "don't ask first (needed where nobody can answer)",
    notebook_help="needed for everybody's entries on a server",
)
JSON = Option("--json", "print one JSON document", front_ends=TERMINAL)
OWNER = Option("--notebook", "only what this notebook owns", "NAME", front_ends=TERMINAL)

_FOLDER = (STORE.only(TERMINAL), JSON)  # of each command in a terminal
_OWNED = (*_FOLDER, OWNER)  # of those that can be about one notebook
# Which entries are meant: all of these hold.
FILTERS = (
    *(MATCH, MODEL, TAG, FUNCTION, KIND, CLIENT, STATUS, CELL_ID),
    *(OLDER_THAN, NOT_HIT_SINCE, LARGER_THAN, CHEAPER_THAN, UNUSED),
)
_CHANGING = (*_OWNED, KEY_TO_CHANGE)  # of those that change one entry, or those that match

COMMANDS = (
    Command(
        MODES,
        "switch the mode; what isn't named stays as it is",
        (TTL, NEW_TAG, SCOPE, STORE, MAX_SIZE, MAX_ENTRIES),
        front_ends=LINE,
    ),
    Command(MODES, "switch the mode for one cell", (TTL, NEW_TAG, SAMPLES), front_ends=CELL),
    Command("panel", "show the panel: what is on, what it did so far, and every entry", front_ends=LINE),
    Command(
        "stats",
        "tell what was paid and saved so far, and what is stored",
        (*_OWNED, CELL_ONLY, LIFETIME, BY, SCOPE),
        notebook_help="tell what this session paid and saved, and what is stored",
        one_of=(CELL_ONLY, LIFETIME),
    ),
    Command("last", "list the last cell's calls, each a hit or a miss and why", front_ends=LINE),
    Command(
        "why",
        "explain why the last call missed, or another call of this session",
        (KEY.optional(),),
        front_ends=LINE,
        hint="(`%llmcache last` lists the calls of the last cell)",
    ),
    Command(
        "plan",
        "estimate what the calls of this session, or of the last one, would cost if they were made again now",
        front_ends=LINE,
    ),
    Command(
        "ls",
        "list entries, newest first",
        (*_OWNED, *FILTERS, LIMIT.only(TERMINAL), SCOPE),
    ),
    Command(
        "show",
        "print one entry whole",
        (*_OWNED, KEY),
        hint="(the first digits of a key are enough; `%llmcache ls` lists them)",
    ),
    Command(
        "evict",
        "delete one entry, whoever owns it",
        (*_OWNED, KEY_TO_EVICT, YES.only(TERMINAL)),
        hint="(the first 4 digits of a key, or more; `%llmcache ls` lists them)",
    ),
    Command(
        "clear",
        "delete all entries, or those for which all of this holds",
        (*_OWNED, *FILTERS, SCOPE, EVERYBODY, DRY_RUN, YES),
        notebook_help="delete this notebook's entries, or those of them for which all of this holds",
    ),
    Command(
        "expire",
        "let an entry, or those for which all of this holds, expire after a time from now on, or keep them for good",
        (*_CHANGING, EXPIRES, *FILTERS, SCOPE, EVERYBODY, DRY_RUN),
        hint="(a key or filters have to be there)",
    ),
    Command(
        "tag",
        "add tags to an entry, or to those for which all of this holds",
        (*_CHANGING, TAGS, *FILTERS, SCOPE, EVERYBODY, DRY_RUN),
        hint="(filters may take the place of the key)",
    ),
    Command(
        "untag",
        "take tags off an entry, or off those for which all of this holds",
        (*_CHANGING, TAGS, *FILTERS, SCOPE, EVERYBODY, DRY_RUN),
        hint="(filters may take the place of the key)",
    ),
    Command(
        "export",
        "write entries into a cassette, a file for git, without secrets",
        (*_OWNED, EXPORT_FILE, USED, UP_TO_DATE, SECRET),
    ),
    Command(
        "import",
        "put the answers of a cassette into the store; none if a line of it is wrong",
        (*_OWNED, IMPORT_FILE, IMPORT_DRY_RUN, PREFER, YES.only(TERMINAL)),
    ),
    Command("check", "look for damage in the whole store", (*_FOLDER, FIX, YES.only(TERMINAL))),
    Command("where", "tell where the store is", _FOLDER),
)


def words(front_end: FrontEnd) -> tuple[str, ...]:
    """What may be typed first in `front_end`."""
    return tuple(word for command in commands(front_end) for word in command.names)


def commands(front_end: FrontEnd) -> tuple[Command, ...]:
    """The commands of `front_end`."""
    return tuple(command for command in COMMANDS if front_end in command.front_ends)


def find(word: str, front_end: FrontEnd) -> Command | None:
    """The command that `word` names in `front_end`."""
    return next((command for command in commands(front_end) if word in command.names), None)


def filters(args: argparse.Namespace) -> dict[str, Any]:
    """Which entries a command means, as `EntryFilters` takes them."""
    return {option.attribute: getattr(args, option.attribute) for option in FILTERS}


def key_and_tags(args: argparse.Namespace) -> tuple[str | None, tuple[str, ...]]:
    """The key and the tags that were typed. Where filters choose the entries, all words are tags. Raises ValueError."""
    words = ([] if args.key is None else [args.key]) + args.tags
    if any(value not in (None, False) for value in filters(args).values()):
        return None, tuple(words)
    if args.key is None:
        raise ValueError(f"{args.word}: write a key before the tags, or a filter such as --model or --match")
    return args.key, tuple(args.tags)
