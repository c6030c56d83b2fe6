"""Whether the values that a digest was made from have changed. They are compared by identity, which is fast."""

import operator
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, repeat
from types import CellType, FunctionType
from typing import Any

MISSING = object()
_FUNCTION_PARTS = ("__code__", "__defaults__", "__kwdefaults__")
_PARTS_OF = operator.attrgetter(*_FUNCTION_PARTS)
_TEXTS = {str}


class Watch:
    """Notes what a walk has read: the code of functions, the values of names, the contents of cells and containers.

    Only what can change is noted. All of it stays referenced, so that no address is used again.
    """

    __slots__ = ("_attributes", "_containers", "_mappings", "_names", "_types", "_volatile")

    def __init__(self) -> None:
        self._attributes: dict[tuple[str, ...], tuple[list[Any], list[Any]]] = {}
        self._names: dict[int, tuple[Mapping[str, Any], list[str], list[Any]]] = {}
        self._containers: list[tuple[Any, tuple[Any, ...]]] = []
        self._mappings: list[tuple[Mapping[Any, Any], tuple[Any, ...], tuple[Any, ...], bool]] = []
        self._types: tuple[list[Any], list[type]] = ([], [])
        self._volatile: list[tuple[Callable[[Any], Any], Any, Any]] = []

    def attributes(self, owner: Any, names: tuple[str, ...], values: Iterable[Any]) -> None:
        """Note that `owner` has these attributes with these values."""
        owners, noted = self._attributes.setdefault(names, ([], []))
        owners.append(owner)
        noted.extend(values)

    def function(self, function: FunctionType) -> None:
        """Note the code and defaults of a function: `%autoreload` replaces them in place."""
        self.attributes(function, _FUNCTION_PARTS, _PARTS_OF(function))

    def name(self, namespace: Mapping[str, Any], name: str, value: Any) -> None:
        """Note that `name` has this value in `namespace`; MISSING if it has none."""
        _, names, values = self._names.setdefault(id(namespace), (namespace, [], []))
        names.append(name)
        values.append(value)

    def cell(self, cell: CellType, value: Any) -> None:
        """Note the content of a cell; MISSING if it is empty."""
        if value is MISSING:
            self.volatile(_is_empty, cell, result=True)
        else:
            self.attributes(cell, ("cell_contents",), [value])

    def container(self, container: Any) -> None:
        """Note the items of a list or set."""
        self._containers.append((container, tuple(container)))

    def mapping(self, mapping: Mapping[Any, Any]) -> None:
        """Note the items of a mapping."""
        keys = tuple(mapping)
        self._mappings.append((mapping, keys, tuple(mapping.values()), {*map(type, keys)} == _TEXTS))

    def class_of(self, value: Any) -> None:
        """Note the class of an object: `%autoreload` replaces it by the new version."""
        self._types[0].append(value)
        self._types[1].append(type(value))

    def bases(self, cls: type) -> None:
        """Note the bases of a class, which may be replaced."""
        self.attributes(cls, ("__bases__",), [cls.__bases__])

    def volatile(self, function: Callable[[Any], Any], value: Any, result: Any) -> None:
        """Note that `function(value)` equals `result`, for what can only be compared by computing it again."""
        self._volatile.append((function, value, result))

    def frozen(self) -> "Check":
        """All that was noted, in the form in which it is compared."""
        columns: list[Any] = [
            (owners, operator.attrgetter(*names), len(names) > 1, values)
            for names, (owners, values) in self._attributes.items()
        ]
        if self._types[0]:
            columns.append((self._types[0], type, False, self._types[1]))
        names = [(namespace.get, names, values) for namespace, names, values in self._names.values()]
        return Check(columns, names, self._containers, self._mappings, self._volatile)


class Check:
    """Compares what a Watch has noted. `holds` takes a few microseconds, since nearly all of it runs in C."""

    __slots__ = ("_columns", "_containers", "_mappings", "_names", "_parts", "_volatile")

    def __init__(
        self,
        columns: list[Any],
        names: list[Any],
        containers: list[Any],
        mappings: list[Any],
        volatile: list[Any],
    ) -> None:
        self._columns = columns
        self._names = names
        self._containers = containers
        self._mappings = mappings
        self._volatile = volatile
        parts = (
            (columns, self._attributes_hold),
            (names, self._names_hold),
            (containers or mappings, self._contents_hold),
            (volatile, self._volatile_hold),
        )
        self._parts = [holds for noted, holds in parts if noted]

    def holds(self) -> bool:
        """Whether nothing has changed. An exception counts as a change."""
        try:
            for holds in self._parts:  # noqa: SIM110 - a generator would take longer
                if not holds():
                    return False
            return True
        except Exception:  # noqa: BLE001 - a name that was deleted, a container that changes meanwhile
            return False

    def _volatile_hold(self) -> bool:
        return all(function(value) == result for function, value, result in self._volatile)

    def _attributes_hold(self) -> bool:
        for owners, getter, are_several, noted in self._columns:
            values = map(getter, owners)
            if not all(map(operator.is_, chain.from_iterable(values) if are_several else values, noted)):
                return False
        return True

    def _names_hold(self) -> bool:
        same, missing = operator.is_, repeat(MISSING)
        return all(all(map(same, map(get, names, missing), noted)) for get, names, noted in self._names)

    def _contents_hold(self) -> bool:
        same = operator.is_
        for mapping, keys, values, are_texts in self._mappings:
            if len(mapping) != len(keys) or not all(map(same, mapping.values(), values)):
                return False
            if tuple(mapping) != keys if are_texts else not all(map(same, mapping, keys)):
                return False
        for container, items in self._containers:
            if len(container) != len(items) or not all(map(same, container, items)):
                return False
        return True


def _is_empty(cell: CellType) -> bool:
    try:
        return cell.cell_contents is MISSING
    except ValueError:
        return True
