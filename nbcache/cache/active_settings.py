"""The settings that hold for a call: its own, those of its block, of its cell and of the session."""

from nbcache.cache.call import Call
from nbcache.cache.chains import run_here
from nbcache.cache.modes import NOTHING_SET, OFF, REPLAY, Settings, current_settings
from nbcache.cache.user_rules import Rules

_OFF, _REPLAY = Settings(OFF), Settings(REPLAY)


class ActiveSettings:
    """The settings that hold: the call's, completed by those of its block, of its cell and of the session.

    A call that `rules` exclude is in mode `off`. Where `is_locked`, the mode is `replay`, whatever else is set.
    """

    __slots__ = ("_is_locked", "_rules", "base", "cell")

    def __init__(self, base: Settings, rules: Rules, *, is_locked: bool) -> None:
        self.base = base
        self.cell = NOTHING_SET  # of the cell that runs
        self._rules = rules
        self._is_locked = is_locked

    @property
    def session(self) -> Settings:
        """The settings that hold where no call, block or cell sets anything."""
        return _REPLAY.within(self.base) if self._is_locked else self.base

    def resolve(self, call: Call | None, *, pin: bool = False) -> Settings:
        """The settings that hold for `call` here and now. With `pin` they hold for it until its answer is stored."""
        settings = self.base
        if self.cell is not NOTHING_SET:
            settings = self.cell.within(settings)
        if current_settings.holder() is not None and (block := current_settings.get()) is not None:
            settings = block.within(settings)
        if call is not None:
            if self._rules.concern_runs and call.model is None and call.parent is None:
                call.parent = run_here()
            if call.mode is not None:
                settings = Settings(call.mode).within(settings)
            if self._rules.exclude and settings.mode != REPLAY and self._rules.excludes(call):
                settings = _OFF.within(settings)
        if self._is_locked:
            settings = _REPLAY.within(settings)
        if pin and call is not None:
            if call.own is not None:  # not for what is called within it
                settings = call.own.within(settings)
            call.settings = settings
        return settings
