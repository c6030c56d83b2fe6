"""Numbers of tokens as they are drawn: small, usual, and at the bounds where prices change."""

from random import Random

_ASKED = (1, 7, 1_000, 12_345, 99_999, 100_000, 100_001, 199_999, 200_000, 200_001, 272_000, 272_001, 900_000)
_ANSWERED = (1, 3, 500, 4_096, 64_001)


def asked(draw: Random) -> int:
    """Tokens of a prompt."""
    return draw.choice(_ASKED) if draw.random() < 0.7 else draw.randint(1, 400_000)


def answered(draw: Random) -> int:
    """Tokens of an answer."""
    return draw.choice(_ANSWERED) if draw.random() < 0.7 else draw.randint(1, 30_000)


def part(draw: Random, whole: int) -> int:
    """Some of so many tokens: none, all, or a number between."""
    return draw.choice((0, 0, whole, whole // 3, draw.randint(0, whole)))


def split(draw: Random, whole: int, parts: int) -> list[int]:
    """So many tokens, in so many parts, each of which may be none; the first has what is left."""
    sizes = []
    for _ in range(parts - 1):
        sizes.append(part(draw, whole) if draw.random() < 0.6 else 0)
        whole -= sizes[-1]
    return [whole, *sizes]
