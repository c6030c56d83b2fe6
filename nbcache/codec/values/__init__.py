"""The value of a function as the answer of a call, and back: equal, of the same type, and a new object.

A value becomes a plain form: JSON values and `bytes`. A part for which these have no word is a dict with the name of its kind
under `#kind`. Nothing that is read back is executed or imported: objects are made of their fields, and their classes are
looked up among those that are loaded. What would not come back exactly is refused when it is stored.

`generation.py` makes the answer, and `shown_text.py` what people read of it. `plain_forms.py` goes through a value, writes each
part by its kind, and reads it back. The kinds: `scalars.py` and `containers.py` of the standard library, `data_objects.py`
(dataclasses, named tuples, members of enumerations, classes) and `pydantic_values.py`, which has LangChain's objects, too.
Those of libraries are loaded when they are needed: `arrays.py` (NumPy), `frames.py` and, for its columns,
`frame_columns.py` and `pandas_dtypes.py`.
`class_lookup.py` finds the class of an object. `hidden_texts.py` has the texts that an export searches for
secrets, and `kind_names.py` the names that other rooms need.
"""

from typing import TYPE_CHECKING

from nbcache import handed_on

if TYPE_CHECKING:
    from nbcache.codec.values.generation import as_generation, value_in

__all__ = ["as_generation", "value_in"]
__getattr__ = handed_on("nbcache.codec.values", dict.fromkeys(__all__, "generation"))
