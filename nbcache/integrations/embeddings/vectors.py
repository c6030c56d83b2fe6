"""Vectors as JSON values and back: each number keeps its bits and its type."""

import base64
import struct
from typing import Any

from langchain_core.outputs import Generation

_FLOATS = {"f": 4, "d": 8}  # how Python's floats are packed, and the bytes of each
_NUMPY = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}


def as_generation(vector: Any) -> Generation:
    """`vector` as the answer of a call. A vector that can't be packed is left as it is: the codec decides whether to store it."""
    is_list = type(vector) is list
    text = f"vector of {len(vector)} numbers" if is_list else "vector"
    form, data = _packed(vector) if is_list and vector else (None, b"")
    if form is None:
        return Generation(text=text, generation_info={"vector": vector})
    info = {"packed": form, "vector": base64.b64encode(data).decode()}
    return Generation(text=text, generation_info=info)


def vector_in(generation: Generation) -> Any:
    """The vector in a generation by `as_generation`. Raises ValueError if this release can't read it."""
    info = generation.generation_info or {}
    form, vector = info.get("packed"), info.get("vector")
    if form is None and "vector" in info:
        return vector
    data = base64.b64decode(str(vector), validate=True)
    if form in _FLOATS and len(data) % _FLOATS[form] == 0:
        return list(struct.unpack(f"<{len(data) // _FLOATS[form]}{form}", data))
    if form in _NUMPY:
        import numpy as np  # noqa: PLC0415 - only for a model that uses it

        return list(np.frombuffer(data, _NUMPY[form]).astype(form))
    raise ValueError(f"a vector packed as {form!r}")


def _packed(vector: list[Any]) -> tuple[str | None, bytes]:
    """The format of the packed numbers, and their bytes. No format if they are not all floats of one type."""
    kinds = {*map(type, vector)}
    if kinds == {float}:
        return _packed_floats(vector)
    kind = kinds.pop()
    if kinds or kind.__module__ != "numpy" or kind.__name__ not in _NUMPY:
        return None, b""
    import numpy as np  # noqa: PLC0415 - it is loaded already

    return kind.__name__, np.array(vector, kind).astype(_NUMPY[kind.__name__]).tobytes()


def _packed_floats(vector: list[float]) -> tuple[str, bytes]:
    """Packed with 32 bits each if that loses nothing: many providers send such numbers, and Python makes 64 bits of them."""
    count = len(vector)
    whole = struct.pack(f"<{count}d", *vector)
    try:
        half = struct.pack(f"<{count}f", *vector)
    except OverflowError:
        return "d", whole
    if struct.pack(f"<{count}d", *struct.unpack(f"<{count}f", half)) == whole:
        return "f", half
    return "d", whole
