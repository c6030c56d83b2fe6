"""Annotations, as each version of Python keeps them: since 3.14 they are worked out when somebody asks."""

import sys
from typing import Any


def annotations_of(thing: Any) -> dict[str, Any]:
    """The annotations of a class (its own, not its bases') or a function; a name that means nothing yet stays a name."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - there is none before

        try:
            return dict(annotationlib.get_annotations(thing, format=annotationlib.Format.FORWARDREF))
        except (TypeError, NameError):
            return {}
    found = vars(thing).get("__annotations__") if isinstance(thing, type) else thing.__annotations__
    return dict(found) if isinstance(found, dict) else {}
