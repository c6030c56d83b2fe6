"""About how many tokens a text is, without the providers' vocabularies: they would have to be downloaded."""

import math
import re

# Words, numbers, runs of another script, one sign repeated, signs, and the breaks that are tokens of their own.
_WORDS = re.compile(
    r"[A-Za-z\u00c0-\u024f]+|[0-9]{1,3}|[^\x00-\x7f\u00c0-\u024f]+|([^\w\s])\1{3,}|[^\w\s]+|_|\n+|[^\S\n]{2,}| (?=[0-9])"
)
_SAMPLED, _SAMPLES = 40_000, 8


def token_estimate(text: str) -> int:
    """About as many tokens as OpenAI's vocabularies make of `text`. Of a long text some pieces stand for all of it."""
    share = 1.0
    if len(text) > _SAMPLED:
        step, size = len(text) // _SAMPLES, _SAMPLED // _SAMPLES
        share = len(text) / _SAMPLED
        text = "\n".join(text[i * step : i * step + size] for i in range(_SAMPLES))
    return math.ceil(share * sum(map(_weight, (match[0] for match in _WORDS.finditer(text)))))


def _weight(piece: str) -> float:
    """The tokens of one piece of a text, on average."""
    first, length = piece[0], len(piece)
    if piece.isascii():
        if first.isalpha():
            return 1 + max(0, length - 6) / 5
        if first.isspace():
            return 0.8  # the end of a sentence takes a line break with it
        if first == "_":
            return 0.3  # part of the word that follows
        return 1 if first.isdigit() or piece == first * length else 1 + (length - 1) / 4
    letters_per_token = 3.8 if first < "\u0900" else 3.0 if first < "\u0f00" else 1.25
    return max(1.0, length / letters_per_token)
