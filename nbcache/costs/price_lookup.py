"""What a call costs, in US dollars: the user's own prices first, then the providers' list prices (genai-prices)."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, DecimalException, localcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

    from nbcache.entry.records import Usage

Why = Literal["charged", "list price", "your price", "local", "unknown model", "unknown provider", "no usage"]

_WORDS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "request")
_EXAMPLE = '{"gpt-4o-mini": {"input": 0.15, "output": 0.60}} (US dollars per million tokens)'
_NO_CACHE: Mapping[str, Any] = dict.fromkeys(("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"), 0)
_MOST = 10**6  # so that nothing overflows
_PREFIX = re.compile(r"^(?:.*publishers/[^/]+/)?models/")
_DATE = re.compile(r"[-@]20\d\d-?[01]\d-?[0-3]\d$")
_CHARGE = re.compile(r"\d{1,7}(\.\d{1,40})?")
_USUAL = {None, "", "default", "standard", "standard_only", "auto", "on_demand"}  # service tiers and speeds


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars, exactly. None, never 0, means unknown. `why` says where the number comes from.

    `lists_cached` says whether the tokens that were read from the provider's prompt cache, and written to it, have prices.
    """

    usd: Decimal | None
    why: Why
    lists_cached: bool = True


class Prices:
    """What calls cost. The user's own prices come first, for local models and unknown hosts too.

    Next comes what the provider says it charged, and then its list price.

    `own` has, for each `model` or `provider/model`, US dollars per million tokens: `input` and `output`, and where
    they differ `cache_read`, `cache_write` and `cache_write_1h`; `request` is dollars per call, beside these or alone.
    Tokens of the provider's prompt cache count at the input price unless they have their own; audio counts as text.
    A model's price also holds for its dated versions (`gpt-4o-mini` for `gpt-4o-mini-2024-07-18`) without their own.

    Raises ValueError, saying what to write, for anything else.
    """

    def __init__(self, own: Mapping[str, Mapping[str, float | str | Decimal]] | None = None) -> None:
        if not isinstance(own, Mapping | None):
            raise ValueError(f"prices={own!r}: write {_EXAMPLE}")  # noqa: TRY004 - one error for wrong settings
        self.own = own
        rates = {name: _rates(name, prices) for name, prices in (own or {}).items()}
        self._own = {_bare(name).lower(): given for name, given in rates.items()}

    def price(self, usage: "Usage", when: datetime | None = None) -> Price:
        """The price of one call made at `when`. None means now; a time without a zone is local.

        Never raises: a call that can't be priced has no price.
        """
        own = next((self._own[name] for name in _names(usage) if name in self._own), None)
        if own is not None and own.keys() == {"request"}:
            return Price(own["request"], "your price")
        if own is None and (charge := charged_usd(usage)) is not None:
            return Price(charge, "charged")
        if own is None and usage.local:
            return Price(Decimal(0), "local")
        if not _consistent(usage) or "other" in usage.mixed.split():
            return Price(None, "no usage")
        return _list_price(usage, when) if own is None else _own_price(usage, own)

    def saved_by_provider(self, usage: "Usage", when: datetime | None = None) -> Decimal | None:
        """What the provider's own prompt cache saved in a call made at `when`, in US dollars, by list prices or the user's own.

        All of the prompt would have cost the plain input price. Less than zero if writing to the cache cost more than reading
        saved. None if a price isn't known.
        """
        from nbcache.entry.records import EXACT  # noqa: PLC0415 - `%load_ext` needs none of the records

        when = when or datetime.now(UTC)
        cached = self.price(replace(usage, charged=None), when)
        plain = self.price(replace(usage, charged=None, **_NO_CACHE), when)  # of as many tokens: the tier is the same
        if cached.usd is None or plain.usd is None or not (cached.lists_cached or plain.usd == 0):
            return None
        return EXACT.subtract(plain.usd, cached.usd)


def uses_provider_cache(usage: "Usage") -> bool:
    """Whether tokens were read from the provider's prompt cache or written to it, or may have been in an unknown number."""
    return bool(usage.cache_read_tokens or usage.cache_write_tokens or "cache_" in usage.mixed)


def charged_usd(usage: "Usage") -> Decimal | None:
    """What the provider says it charged, in US dollars."""
    if usage.charged is None or not _CHARGE.fullmatch(usage.charged):
        return None
    return Decimal(usage.charged)


def _bare(model: str) -> str:
    """The model's name without a path: `gemini-2.5-flash` for `models/gemini-2.5-flash` and Vertex's long paths."""
    return _PREFIX.sub("", model, count=1)


def _names(usage: "Usage") -> Iterator[str]:
    """The names under which the user may have given a price, the most exact first."""
    if usage.model:
        model = _bare(usage.model).lower()
        for name in dict.fromkeys((model, _DATE.sub("", model))):
            yield f"{usage.provider}/{name}".lower()
            yield name


def _consistent(usage: "Usage") -> bool:
    """Whether all counts are there, and no part is larger than its whole."""
    return (
        usage.input_tokens is not None
        and usage.output_tokens is not None
        and 0 <= usage.cache_write_1h_tokens <= usage.cache_write_tokens
        and 0 <= usage.cache_read_tokens <= usage.input_tokens - usage.cache_write_tokens
        and 0 <= usage.input_audio_tokens <= usage.input_tokens
        and 0 <= usage.reasoning_tokens <= usage.output_tokens
        and 0 <= usage.output_audio_tokens <= usage.output_tokens
        and 0 <= usage.output_image_tokens <= usage.output_tokens
    )


def _own_price(usage: "Usage", rates: Mapping[str, Decimal]) -> Price:
    from nbcache.entry.records import EXACT  # noqa: PLC0415 - `%load_ext` needs none of the records

    mixed = usage.mixed.split()
    if (
        usage.web_searches
        or ("cache_write_1h" in mixed and rates["cache_write"] != rates["cache_write_1h"])
        or ("cache_read" in mixed and rates["cache_read"] != rates["input"])
    ):
        return Price(None, "no usage")
    counts = {
        "input": (usage.input_tokens or 0) - usage.cache_read_tokens - usage.cache_write_tokens,
        "output": usage.output_tokens or 0,
        "cache_read": usage.cache_read_tokens,
        "cache_write": usage.cache_write_tokens - usage.cache_write_1h_tokens,
        "cache_write_1h": usage.cache_write_1h_tokens,
    }
    with localcontext(EXACT):
        tokens = sum((rates[word] * count for word, count in counts.items()), Decimal(0)).scaleb(-6)
        return Price(tokens + rates["request"], "your price")


def _list_price(usage: "Usage", when: datetime | None) -> Price:
    if not usage.provider or not usage.model:
        return Price(None, "unknown model" if usage.provider else "unknown provider")
    try:
        from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - a fifth of a second

        # Some prices depend on the time of day. They change on the minute, so a minute's calls share one lookup.
        minute = (when or datetime.now(UTC)).astimezone(UTC).replace(second=0, microsecond=0)
        return _looked_up(usage, minute, get_snapshot().timestamp)
    except Exception:  # noqa: BLE001 - genai-prices may raise anything; then the price is unknown
        return Price(None, "unknown model")


@lru_cache(maxsize=4096)
def _looked_up(usage: "Usage", when: datetime, _data: datetime) -> Price:
    """The list price. `_data` identifies the release of the price data, so that the cache knows a new one."""
    from genai_prices import Usage as Counts  # noqa: PLC0415 - as above
    from genai_prices import calc_price, data_snapshot  # noqa: PLC0415

    from nbcache.entry.records import EXACT  # noqa: PLC0415

    # genai-prices also finds `openai` in the name of any host that contains it.
    if usage.provider not in {provider.id for provider in data_snapshot.get_snapshot().providers}:
        return Price(None, "unknown provider")
    context = {name: value for name in ("service_tier", "speed") if (value := getattr(usage, name))}
    with localcontext(EXACT), suppress(LookupError):
        result = calc_price(
            Counts(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                cache_write_1h_tokens=usage.cache_write_1h_tokens,
                output_reasoning_tokens=usage.reasoning_tokens,
                input_audio_tokens=usage.input_audio_tokens,
                output_audio_tokens=usage.output_audio_tokens,
                output_image_tokens=usage.output_image_tokens,
                **({"web_searches": usage.web_searches} if usage.web_searches else {}),  # older releases don't know it
            ),
            model := _bare(usage.model or ""),
            provider_id=usage.provider,
            genai_request_timestamp=when,
            price_context=context or None,
        )
        # Where genai-prices doesn't know the price of a service tier or speed, it takes the usual one.
        usual = result.model.get_prices(when)
        known = all(
            value in _USUAL or result.model.get_prices(when, {name: value}) != usual for name, value in context.items()
        )
        if model.lower().endswith(":free") or (known and _covers(result.model_price, usage)):
            return Price(result.total_price, "list price", _lists_cached(result.model_price, usage))
    return Price(None, "unknown model")


def _covers(price: "ModelPrice", usage: "Usage") -> bool:
    """Whether each kind of token that was used, or may have been used, has a price.

    genai-prices counts a kind without a price as $0, or as the cheaper kind of which it is a part.
    """
    needed = [(price.input_mtok, usage.input_tokens), (price.output_mtok, usage.output_tokens)]
    if not _lists_images_as_output(usage):
        needed.append((price.output_image_mtok, usage.output_image_tokens))
    needed.append((price.web_searches_kcount, usage.web_searches))
    if price.cache_write_mtok is not None:
        needed.append((price.cache_write_1h_mtok, usage.cache_write_1h_tokens))
    if usage.provider != "google":  # Google lists audio only where it is dearer than text
        needed.append((price.input_audio_mtok, usage.input_audio_tokens))
        needed.append((price.output_audio_mtok, usage.output_audio_tokens))
    return all(rate is not None for rate, count in needed if count) and not any(
        _differs(price, kind) for kind in usage.mixed.split()
    )


def _lists_cached(price: "ModelPrice", usage: "Usage") -> bool:
    """Whether tokens that were read from the provider's cache, or written to it, have prices of their own."""
    reads = usage.cache_read_tokens or "cache_read" in usage.mixed.split()
    return not (
        (reads and price.cache_read_mtok is None) or (usage.cache_write_tokens and price.cache_write_mtok is None)
    )


def _lists_images_as_output(usage: "Usage") -> bool:
    """Whether all that this model puts out are images, so that their price may be listed as that of its output."""
    is_image_model = usage.provider == "openai" and (usage.model or "").startswith("gpt-image-")
    return is_image_model and usage.output_image_tokens == usage.output_tokens


def _differs(price: "ModelPrice", kind: str) -> bool:
    """Whether tokens of this kind have another list price than those among which they were counted."""
    match kind:
        case "input_audio":
            return price.input_audio_mtok not in (None, price.input_mtok)
        case "output_audio":
            return price.output_audio_mtok not in (None, price.output_mtok)
        case "output_image":
            return price.output_image_mtok is None or price.output_image_mtok != price.output_mtok
        case "cache_read":
            return price.cache_read_mtok not in (None, price.input_mtok)
        case "cache_write_1h":
            return price.cache_write_1h_mtok is None or price.cache_write_1h_mtok != price.cache_write_mtok
    return True


def _rates(name: object, prices: object) -> dict[str, Decimal]:
    if not isinstance(name, str) or not name.strip() or not isinstance(prices, Mapping):
        raise ValueError(f"prices[{name!r}]={prices!r}: write {_EXAMPLE}")
    given = {word: _dollars(name, word, value) for word, value in prices.items()}
    if given.keys() == {"request"}:
        return given
    if missing := " and ".join(word for word in ("input", "output") if word not in given):
        raise ValueError(f"prices[{name!r}] lacks {missing}: write {_EXAMPLE}, or only `request`, in dollars per call")
    rate, write = given["input"], given.get("cache_write", given["input"])
    return {"cache_read": rate, "cache_write": write, "cache_write_1h": write, "request": Decimal(0)} | given


def _dollars(name: str, word: object, value: object) -> Decimal:
    if word not in _WORDS:
        raise ValueError(f"prices[{name!r}]: {word!r} is no price; write {', '.join(_WORDS[:-1])} or {_WORDS[-1]}")
    number = Decimal("NaN")
    with suppress(DecimalException):
        if isinstance(value, int | float | str | Decimal):
            number = Decimal(str(value))  # 0.15 as it is written, not as the nearest binary fraction
    if not (number.is_finite() and 0 <= number <= _MOST):
        raise ValueError(f"prices[{name!r}]: {word}={value!r}; write US dollars, such as 0.15, from 0 to {_MOST:,}")
    return number
