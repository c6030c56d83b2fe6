"""The canonical forms of numpy's arrays, scalars and types: by type, shape and content. The order in memory doesn't count.

numpy is not imported: whoever has an array has numpy.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from nbcache.keys.functions.libraries import releases_of
from nbcache.keys.functions.plain_kinds import digest_of
from nbcache.keys.functions.values import Values

_CHUNK = 1 << 18  # bytes that are read at once: they stay in the processor's cache
# In place of the length of a text: None, NaN, and pandas' NA.
_GAPS = {"NoneType": -1, "float": -2, "NAType": -3}


def numpy_form(values: Values, value: Any) -> Any:
    """The form of a value of one of numpy's classes. None for a kind that has no content of its own."""
    numpy = sys.modules["numpy"]
    cls = type(value)
    if issubclass(cls, numpy.dtype):
        return {"!dtype": dtype_form(values, value)}
    if issubclass(cls, numpy.generic):
        return {
            "!scalar": [*([] if _is_numpys(cls) else [values.name(cls)]), array_parts(values, numpy.asarray(value))]
        }
    if not issubclass(cls, numpy.ndarray):
        return None
    values.libraries.update(releases_of("numpy"))
    parts = array_parts(values, numpy.ndarray.view(value, numpy.ndarray))
    if cls is numpy.ndarray:
        return {"!array": parts}
    if issubclass(cls, numpy.ma.MaskedArray) and _is_numpys(cls):
        mask = array_parts(values, numpy.ma.getmaskarray(value).view(numpy.ndarray))
        return {"!masked": [values.name(cls), parts, mask, values.form(value.fill_value), value.hardmask]}
    attributes = {} if cls is numpy.memmap else getattr(value, "__dict__", {})
    return {"!array": [*parts, values.name(cls), values.attributes(attributes)]}


def _is_numpys(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "numpy"


def dtype_form(values: Values, dtype: Any) -> Any:
    """The form of a type of arrays, with its order of bytes, and the names and places of its fields."""
    metadata = [] if dtype.metadata is None else [values.form(dict(dtype.metadata))]
    if dtype.names is not None:
        fields = [[name, *_field(values, dtype.fields[name])] for name in dtype.names]
        return ["fields", dtype.itemsize, dtype.isalignedstruct, fields, *metadata]
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return ["items", dtype_form(values, base), [*shape], *metadata]
    if dtype.kind in "VT":  # types of other libraries look alike
        return [dtype.str, type(dtype).__module__, repr(dtype), *metadata]
    return [dtype.str, *metadata] if metadata else dtype.str


def _field(values: Values, field: tuple[Any, ...]) -> list[Any]:
    dtype, offset, *title = field
    return [dtype_form(values, dtype), offset, *map(values.form, title)]


def array_parts(values: Values, array: Any) -> list[Any]:
    """The type, shape and content of an array that is of no subclass."""
    return [dtype_form(values, array.dtype), [*array.shape], content_digest(values, array)]


def content_digest(values: Values, array: Any) -> str:
    """The digest of an array's items, in their order."""
    dtype = array.dtype
    if dtype.names is not None:  # between fields there may be bytes of no meaning
        return digest_of(orjson.dumps([content_digest(values, array[name]) for name in dtype.names]))
    if dtype.kind in "OT":
        return items_digest(values, array.ravel().tolist())
    digest = hashlib.sha256()
    for chunk in _chunks(array):
        digest.update(_bytes_of(chunk))
    return digest.hexdigest()[:32]


def _chunks(array: Any) -> Iterator[Any]:
    """The items of an array in their order, as arrays that are each one piece of memory. Only what isn't one already is copied."""
    numpy = sys.modules["numpy"]
    if array.flags.c_contiguous:
        flat = array.reshape(-1)
        step = max(1, _CHUNK // max(1, array.itemsize))
        if array.dtype.kind not in "fc":
            step = max(1, flat.size)
        for start in range(0, flat.size, step):
            yield flat[start : start + step]
    elif array.ndim == 1 or array[0].nbytes <= _CHUNK:
        step = max(1, _CHUNK // max(1, array[0].nbytes))
        for start in range(0, len(array), step):
            yield numpy.ascontiguousarray(array[start : start + step]).reshape(-1)
    else:
        for part in array:
            yield from _chunks(part)


def _bytes_of(chunk: Any) -> Any:
    """The bytes of one piece of memory. All NaN are alike."""
    numpy = sys.modules["numpy"]
    dtype = chunk.dtype
    if dtype.kind == "c":
        dtype = numpy.dtype(f"{dtype.byteorder}f{dtype.itemsize // 2}")
        chunk = chunk.view(dtype)
    if dtype.kind == "f":
        is_nan = numpy.isnan(chunk)
        if is_nan.any():
            chunk = chunk.copy()
            chunk[is_nan] = numpy.nan
        if dtype.itemsize > 8 and numpy.finfo(dtype).nmant == 63:  # Intel's, in 10 bytes and some of no meaning
            return numpy.ascontiguousarray(chunk.view(numpy.uint8).reshape(-1, dtype.itemsize)[:, :10])
    return chunk.view(numpy.uint8) if dtype.itemsize else b""


def items_digest(values: Values, items: list[Any]) -> str:
    """The digest of Python's objects in an array. Texts, with gaps among them, take little more than their bytes."""
    types = {*map(type, items)}
    if types == {str}:
        return _texts_digest(map(len, items), items)
    gaps = {cls: _GAPS.get(cls.__name__) for cls in types - {str}}
    if None not in gaps.values() and all(item != item for item in items if type(item) is float):  # noqa: PLR0124
        lengths = [len(item) if type(item) is str else gaps[type(item)] for item in items]
        return _texts_digest(lengths, [item for item in items if type(item) is str])
    return digest_of(b"items" + values.written(items))


def _texts_digest(lengths: Iterable[Any], texts: list[str]) -> str:
    numpy = sys.modules["numpy"]
    digest = hashlib.sha256(numpy.fromiter(lengths, "<i8").data)
    digest.update("".join(texts).encode(errors="surrogatepass"))
    return digest.hexdigest()[:32]
