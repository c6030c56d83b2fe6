"""What an export and an import did."""

from dataclasses import dataclass, field
from pathlib import Path

from nbcache import public_in


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote or, with `check`, would have written. `changed` says whether that changes the file.

    `scrubbed` are the kinds of secrets that were taken out of a call, and `left_out` why an entry isn't in the file,
    both by the entry's key. `gone` are the keys of recordings that were in the file and no longer are,
    and `unknown` is how many lines of the file had no key.
    """

    path: Path
    entries: int
    size_bytes: int
    changed: bool
    scrubbed: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    unknown: int = 0

    @property
    def backup(self) -> Path:
        """Where the earlier file is kept if recordings, or lines without a key, are no longer in the new one."""
        return self.path.with_name(self.path.name + ".bak")


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or with `dry_run` would do: how many were new and the same, and the keys of conflicting ones.

    For a file of LangChain's, `left_out` says for each reason how many answers were left out, and `by_hand` how many of the
    others only a cache set with `set_llm_cache` finds.
    """

    path: Path
    new: int
    same: int
    conflicting: tuple[str, ...]
    preferred: str
    left_out: dict[str, int] = field(default_factory=dict)
    by_hand: int = 0
