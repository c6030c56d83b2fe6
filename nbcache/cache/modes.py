"""The modes, and the settings of a call, a block, a cell or a session."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from nbcache import public_in
from nbcache.cache.samples import Samples
from nbcache.concurrency.context_blocks import Block, BlockVar
from nbcache.entry.durations_and_sizes import seconds

ON, OFF, READ_ONLY, REFRESH, REPLAY = MODES = ("on", "off", "read-only", "refresh", "replay")
LOOKS_UP = frozenset({ON, READ_ONLY})
KEEPS = frozenset({ON, REFRESH})
PLACEHOLDER = "none-needed-in-replay"  # for a key or credential without which a client can't be used
NOTEBOOK, FOLDER, _STORE = SCOPES = ("notebook", "folder", "store")  # `store` is another word for `folder`


@dataclass(frozen=True, slots=True)
class Settings:
    """A mode with its options. A `mode` or `ttl` (seconds) of None is taken from the settings around.

    With `samples` each identical call gets an answer of its own. With False none does, whatever the outer settings are.
    """

    mode: str | None = None
    ttl: float | None = None
    tags: tuple[str, ...] = ()
    samples: Samples | Literal[False] | None = None

    def within(self, outer: "Settings") -> "Settings":
        """These settings, completed by those around them. Tags add up."""
        return Settings(
            self.mode or outer.mode,
            outer.ttl if self.ttl is None else self.ttl,
            tuple(dict.fromkeys((*outer.tags, *self.tags))),
            outer.samples if self.samples is None else self.samples,
        )


NOTHING_SET = Settings()
current_settings: BlockVar[Settings] = BlockVar("nbcache_settings")  # of the innermost block


def checked_mode(mode: str) -> str:
    """`mode`, if it is one, however its letters are written. Raises ValueError, naming those there are."""
    if not isinstance(mode, str) or mode.lower() not in MODES:
        raise ValueError(f"mode={mode!r}: write on, off, read-only, refresh or replay")
    return mode.lower()


def checked_scope(scope: str) -> str:
    """`notebook` or `folder`, as which `store` counts. Raises ValueError for another scope."""
    if not isinstance(scope, str) or scope not in SCOPES:
        raise ValueError(f"scope={scope!r}: write notebook, folder or store")
    return FOLDER if scope == _STORE else scope


def settings(
    mode: str | None = None,
    ttl: float | str | timedelta | None = None,
    tags: str | Iterable[str] = (),
    *,
    samples: bool | None = None,
) -> Settings:
    """Checked settings. `ttl` is seconds, a timedelta, or text such as `7d`. Raises ValueError."""
    if not isinstance(tags, Iterable):
        raise ValueError(f"tags={tags!r}: write a tag, or a list of tags")  # noqa: TRY004 - a setting
    tags = (tags,) if isinstance(tags, str) else tuple(tags)
    for tag in tags:
        if not isinstance(tag, str) or not tag.strip() or "\x1f" in tag:
            raise ValueError(f"tag={tag!r}: write a word or a few")
    drawn: Samples | Literal[False] | None = Samples() if samples else None if samples is None else False
    return Settings(None if mode is None else checked_mode(mode), seconds(ttl), tuple(tags), drawn)


class _ModeBlock(Block[Settings]):
    """The block that `mode` makes. A notebook shows it where no `with` takes it."""

    def __repr__(self) -> str:
        return (
            "<nbcache.mode: nothing is switched yet. Write `with nbcache.mode(…):` above the calls that it is for, or "
            "`%llmcache off` and so on for all that follow>"
        )


@public_in("nbcache")
def mode(
    mode: str | None = None,
    *,
    ttl: float | str | timedelta | None = None,
    tags: str | Iterable[str] = (),
    samples: bool | None = None,
) -> Block[Settings]:
    """Within this block the cache is in `mode`, keeps answers for `ttl` and puts `tags` on them.

    With `samples` each identical call is a draw of its own: n calls get n answers. When the block is run again, they get the
    same n answers in the order of the calls. The block holds for its own context, which LangChain's threads and tasks share.
    Other threads and tasks that run at the same time are not affected. Blocks nest, and their tags add up. Raises ValueError
    for a wrong mode or ttl.
    """
    settings(mode, ttl, tags)

    def within(around: Settings | None) -> Settings:
        return settings(mode, ttl, tags, samples=samples).within(around or Settings())

    return _ModeBlock(current_settings, within)
