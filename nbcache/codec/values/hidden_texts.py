"""The texts in a value that its JSON does not show: in arrays, in Arrow's columns, in bytes.

What is exported is searched for secrets, and these texts with it. The values of a column stand under the column's name, which may
say that they are secrets.
"""

import base64
import re
from collections.abc import Iterator
from typing import Any

from nbcache.codec.buffers import BYTES
from nbcache.codec.json_values import from_plain
from nbcache.codec.values.kind_names import KIND
from nbcache.codec.values.plain_forms import Reader

_RUN = re.compile(rb"[\t\n\r -~]{6,}")  # of the characters that secrets consist of
_FORM = frozenset(
    {KIND, "dtype", "storage", "missing", "order", "closed", "class"}
)  # what is of the form, not of the value
_TEXTS = frozenset("US")  # NumPy's dtypes of texts and of bytes


def hidden_texts(plain: Any) -> list[Any]:
    """The texts that the JSON value `plain` hides, as JSON values; `plain` is a generation as a cassette has it.

    Raises NotStorableError where a column can't be read without pyarrow, and DamagedError or what garbage may raise.
    """
    return list(_hidden(plain))


def _hidden(plain: Any) -> Iterator[Any]:
    if isinstance(plain, list):
        for item in plain:
            yield from _hidden(item)
    elif isinstance(plain, dict):
        if plain.get(KIND) == "DataFrame" and "data" in plain:
            names = list(Reader().value(from_plain(plain["columns"])))
            for name, column in zip(names, plain["data"], strict=True):
                yield {str(name): [*_hidden(column), *_shown(column)]}
            yield from _hidden([plain["index"], plain["columns"], plain.get("attrs")])
        elif plain.get(KIND) == "Series" and "data" in plain:
            name = str(Reader().value(from_plain(plain["name"])))
            yield {name: [*_hidden(plain["data"]), *_shown(plain["data"])]}
            yield from _hidden([plain["index"], plain.get("attrs")])
        else:
            for name, item in plain.items():
                yield from _in_bytes(name, item)


def _in_bytes(name: str, item: Any) -> Iterator[Any]:
    """The texts in an item of a dict."""
    if name == BYTES and isinstance(item, str):
        for run in _RUN.findall(base64.b64decode(item)):
            yield run.decode()
    elif name == "npy" and (data := _bytes_of(item)) is not None:
        yield from _in_array(data)
    elif name == "arrow" and (data := _bytes_of(item)) is not None:
        from nbcache.codec.values.pandas_dtypes import arrow_values  # noqa: PLC0415 - pandas, for what few values hold

        yield [str(value) for value in arrow_values(data).to_pylist() if value is not None]
    else:
        yield from _hidden(item)


def _bytes_of(item: Any) -> bytes | None:
    is_bytes = isinstance(item, dict) and isinstance(item.get(BYTES), str)
    return base64.b64decode(item[BYTES]) if is_bytes else None


def _in_array(data: bytes) -> Iterator[Any]:
    from nbcache.codec.values.arrays import array_in  # noqa: PLC0415 - NumPy, as above

    array = array_in(data)
    names = array.dtype.names
    parts = {"": array} if names is None else {name: array[name] for name in names}
    for name, part in parts.items():
        if part.dtype.kind in _TEXTS:
            texts = [
                text.decode("utf-8", "replace") if isinstance(text, bytes) else text for text in part.ravel().tolist()
            ]
            yield {name: texts} if name else texts
        elif part.dtype.kind == "V":
            for run in _RUN.findall(part.tobytes()):
                yield run.decode()


def _shown(plain: Any) -> Iterator[str]:
    """The texts of a column that its JSON shows, without the column's name."""
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, list):
        for item in plain:
            yield from _shown(item)
    elif isinstance(plain, dict) and BYTES not in plain:
        for name, item in plain.items():
            if name not in _FORM:
                yield from _shown(item)
