"""NumPy's arrays and scalars, in NumPy's own format without pickle.

What that format does not keep is found when the array is stored: it is read back and compared. A subclass, such as a masked
array, is refused.
"""

import functools
import io
import math
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nbcache.codec.buffers import SHORTEST, Raw
from nbcache.errors import DamagedError

if TYPE_CHECKING:
    from nbcache.codec.values.plain_forms import Reader, Writer

_MOST_DIMENSIONS = 64
_OF_VERSION_1 = b"\x93NUMPY\x01\x00"
_PREFIX = struct.Struct("<8sH")  # the magic and the version; then the length of the header, which is a text


def kind_of(cls: type) -> str | None:
    """The kind of the objects of a class of NumPy's. None if they are not stored."""
    if cls is np.ndarray:
        return "array"
    return "numpy scalar" if issubclass(cls, np.generic) else None


def _plain_array(value: "np.ndarray[Any, Any]", writer: "Writer") -> dict[str, Any]:
    if value.dtype == object:
        return _plain_objects(value, writer)
    data = _written(value, writer)
    dtype = array_in(data).dtype
    if dtype == value.dtype and dtype.isalignedstruct == value.dtype.isalignedstruct:
        return {"npy": data}
    if _aligned(dtype) == value.dtype:
        return {"npy": data, "aligned": True}
    raise writer.refused(f"an array of {value.dtype!r}")


def _written(value: Any, writer: "Writer") -> Raw:
    if value.dtype.hasobject or value.dtype.metadata:
        raise writer.refused(f"an array of {value.dtype!r}")
    file = io.BytesIO()
    try:
        np.save(file, value, allow_pickle=False)
    except ValueError:  # a dtype that can't do without pickle
        raise writer.refused(f"an array of {value.dtype!r}") from None
    data = file.getbuffer()
    return data if len(data) >= SHORTEST else bytes(data)


def array_in(data: Raw) -> "np.ndarray[Any, Any]":
    """The array in `data`, in the same memory if that can be written to. Else its numbers are copied once."""
    begin = bytes(data[: _PREFIX.size])
    if begin[:8] == _OF_VERSION_1 and len(begin) == _PREFIX.size:
        length = _PREFIX.size + _PREFIX.unpack(begin)[1]
        header = bytes(data[len(_OF_VERSION_1) : length])
        shape, in_columns, dtype = _known_header(header)
        if dtype.names is not None:
            shape, in_columns, dtype = _header(header)  # whoever has such a dtype can change its names
        if not dtype.hasobject and dtype.itemsize:
            flat = np.frombuffer(data, dtype, math.prod(shape), length)
            if not (flat.flags.writeable and flat.flags.aligned):
                flat = flat.copy()
            return flat.reshape(shape, order="F" if in_columns else "C")
    # Names of fields that are not in Latin-1, many fields, or items without bytes.
    array: np.ndarray[Any, Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def _header(header: bytes) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    """The shape of an array, whether its order is Fortran's, and its dtype."""
    return np.lib.format.read_array_header_1_0(io.BytesIO(header))


_known_header = functools.lru_cache(maxsize=256)(_header)  # columns of a table are alike, and to read one takes 40 µs


def _array(form: Mapping[str, Any], reader: "Reader") -> "np.ndarray[Any, Any]":
    if "items" in form:
        return _objects(form, reader)
    array = array_in(form["npy"])
    return array.view(_aligned(array.dtype)) if "aligned" in form else array


def _aligned(dtype: "np.dtype[Any]") -> Any:
    """A structured dtype with its fields where they are, and marked as aligned. None for any other."""
    fields = dtype.fields
    if not fields:
        return None
    names, places = [*fields], [*fields.values()]
    parts: Any = {"names": names, "formats": [place[0] for place in places], "offsets": [place[1] for place in places]}
    parts["itemsize"] = dtype.itemsize
    return np.dtype(parts, align=True)


def _plain_objects(value: "np.ndarray[Any, Any]", writer: "Writer") -> dict[str, Any]:
    """An array of objects, item by item."""
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    return {"shape": [*value.shape], "order": order, "items": writer.items(value.ravel(order))}  # type: ignore[arg-type]


def _objects(form: Mapping[str, Any], reader: "Reader") -> "np.ndarray[Any, Any]":
    items, shape = reader.items(form["items"]), form["shape"]
    if len(shape) > _MOST_DIMENSIONS or math.prod(shape) != len(items):
        raise DamagedError("an array has another number of items than its shape says")
    flat = np.fromiter(items, dtype=object, count=len(items))
    return flat.reshape(shape, order=form["order"])


def _plain_scalar(value: Any, writer: "Writer") -> dict[str, Any]:
    data = _written(np.asarray(value), writer)
    form: dict[str, Any] = {"npy": data}
    again: Any = array_in(data)[()]
    if type(again) is not type(value):  # one of two types of integers that have as many bits here
        form = {"npy": data, "char": value.dtype.char}
        if type(_scalar(form, writer.reader())) is not type(value):
            raise writer.refused(type(value))
    return form


def _scalar(form: Mapping[str, Any], _: "Reader") -> Any:
    array = array_in(form["npy"])
    if array.shape != ():
        raise DamagedError("a scalar that is an array")
    return array.astype(form["char"])[()] if form.get("char", " ") in np.typecodes["AllInteger"] else array[()]


KINDS: dict[str, tuple[Callable[[Any, Any], dict[str, Any]], Callable[[Any, Any], Any]]] = {
    "array": (_plain_array, _array),
    "numpy scalar": (_plain_scalar, _scalar),
}
