"""Annotations, as each version of Python stores them: since 3.14 they are computed when they are read."""

import sys
from typing import Any


def annotations_of(thing: Any) -> dict[str, Any]:
    """The annotations of a class (not those of its bases) or a function. A name that is not defined yet stays a name."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - there is none before

        try:
            return dict(annotationlib.get_annotations(thing, format=annotationlib.Format.FORWARDREF))
        except (TypeError, NameError):
            return {}
    annotations = vars(thing).get("__annotations__") if isinstance(thing, type) else thing.__annotations__
    return dict(annotations) if isinstance(annotations, dict) else {}
