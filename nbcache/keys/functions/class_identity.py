"""The digest by which a class is recognised: of its name, and of its code or its library's release."""

import orjson

from nbcache.keys.functions.plain_kinds import digest_of
from nbcache.keys.functions.values import Values


def class_digest(cls: type) -> str:
    """The digest of a class (32 hexadecimal digits): the same as long as its objects are of the same class.

    A class of the user's counts by its code and all that the code uses, a library's by its name and release. Raises
    NotCanonicalError if the code uses something that can't be told apart.
    """
    values = Values()
    name = values.name(cls)
    return digest_of(orjson.dumps([name, sorted(values.libraries)]))
