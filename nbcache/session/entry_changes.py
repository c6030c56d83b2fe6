"""Tags and expiry of entries that exist: `tag`, `untag` and `expire`."""

import time
from datetime import timedelta
from typing import Any

from nbcache import public_in
from nbcache.cache import modes
from nbcache.cache.setting_field import refuse_unknown
from nbcache.entry.durations_and_sizes import seconds
from nbcache.entry.edit import Changed, Edit
from nbcache.errors import warn_once
from nbcache.session.api import CHOOSING, spared_by
from nbcache.session.installation import installed
from nbcache.stores.entry_filters import EntryFilters

_GIVEN = (*CHOOSING, "progress", "edited")


@public_in("nbcache")
def expire(ttl: float | str | timedelta | None, key: str | None = None, **which: Any) -> Changed:
    """Let the entry whose key begins with `key`, or those that match, expire after `ttl` from now on.

    `ttl` is seconds, a timedelta, or text such as `7d`; `none` or None keeps the entries for good. The filters are those of
    `clear`, with `scope` and `dry_run`; entries that other notebooks own, too, are changed for all. Raises ValueError if there
    is neither a key nor a filter.
    """
    refuse_unknown(expire, which, _GIVEN)
    return _warned(*changed(expiry(ttl), key, "expire", which))


@public_in("nbcache")
def tag(*tags: str, key: str | None = None, **which: Any) -> Changed:
    """Add tags to the entry whose key begins with `key`, or to those that match the filters of `clear`. Raises as `expire`."""
    refuse_unknown(tag, which, _GIVEN)
    return _warned(*changed(Edit(add=checked_tags(tags)), key, "tag", which))


@public_in("nbcache")
def untag(*tags: str, key: str | None = None, **which: Any) -> Changed:
    """Take tags off the entry whose key begins with `key`, or off those that match the filters of `clear`. Raises as `expire`."""
    refuse_unknown(untag, which, _GIVEN)
    return _warned(*changed(Edit(remove=checked_tags(tags)), key, "untag", which))


def expiry(ttl: float | str | timedelta | None) -> Edit:
    """The change that lets entries expire so long from now on. Raises ValueError."""
    after = None if ttl == "none" else seconds(ttl)
    return Edit(sets_expiry=True, expires=None if after is None else time.time() + after)


def checked_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """These tags. Raises ValueError if there is none, or one that can't be a tag."""
    if not tags:
        raise ValueError('write a tag, or several, such as "draft"')
    for tag in tags:
        if isinstance(tag, list | tuple | set):
            raise ValueError(f"tags={tag!r}: write each tag by itself: {', '.join(map(repr, tag))}")  # noqa: TRY004 - a setting
    return tuple(dict.fromkeys(modes.settings(tags=tags).tags))


def changed(change: Edit, key: str | None, verb: str, which: dict[str, Any]) -> tuple[Changed, str]:
    """What was changed, and what `Contents.unknown_values` says if nothing was. Raises ValueError as `expire`."""
    options = dict(which)
    scope, unused = options.pop("scope", None), options.pop("unused", None)
    others = {name: options.pop(name) for name in ("dry_run", "progress", "edited") if name in options}
    check_chosen(verb, key, {**options, "unused": False if unused is None else unused})
    spare = spared_by(unused)
    contents = installed().contents(scope)
    done = contents.edit(change, key=key, spare=spare, **others, **options)
    return done, "" if done.changed or key is not None else contents.unknown_values(options)


def check_chosen(verb: str, key: str | None, filters: dict[str, Any]) -> None:
    """Raise ValueError if there is neither a key nor a filter: all entries are not changed by accident."""
    if key is None and not EntryFilters(**filters).are_given:
        raise ValueError(f"{verb}: write a key, or a filter such as model or match, to say which entries are meant")


def _warned(done: Changed, unknown: str) -> Changed:
    if unknown:
        warn_once(unknown, unknown)
    return done
