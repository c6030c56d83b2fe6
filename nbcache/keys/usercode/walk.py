"""The walk through a piece of code and all that it refers to, which makes one digest of it.

Values that can't change (numbers, texts, tuples, compiled code) are written where they are found. Every other value is a
node: it gets a number, which is written where it is found, and its content is written later. So each node is visited once,
cycles end, and no structure is too deep.
"""

import hashlib
import types
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbcache.keys.usercode.call_state import State
from nbcache.keys.usercode.change_detection import Watch
from nbcache.keys.usercode.environment_variables import value_of
from nbcache.keys.usercode.initial_state import seed_of
from nbcache.keys.usercode.not_canonical import NotCanonicalError
from nbcache.keys.usercode.origin import original_of

_MOST_PARTS = 50_000
_MOST_BYTES = 32_000_000
_DEEPEST = 40  # tuples within tuples
_LONG = 14_000  # bits of a number, from which on Python may refuse to write it in decimal digits
_SCALARS = {int, float, complex, bool, type(None), type(...), type(NotImplemented), range}


@dataclass(slots=True)
class Budget:
    """How much may still be read."""

    parts: int = _MOST_PARTS
    size: int = _MOST_BYTES


class Walk:
    """A walk from one value. `nodes` writes the content of a node, by `put` and `child`.

    With `piece_of`, classes and functions count by the digest of their own piece. Where `is_watched` is false, changes can't
    be detected, and the values are digested again each time.
    """

    def __init__(
        self,
        nodes: "Callable[[Walk, Any], None]",
        state: State,
        *,
        path: str = "",
        depth: int = 0,
        piece_of: Callable[[Any], Any] | None = None,
    ) -> None:
        if depth > _DEEPEST:
            raise NotCanonicalError("sets nested too deeply", path)
        self.state = state
        self.piece_of = piece_of
        self.watch = Watch()
        self.is_watched = True
        self.reads: set[str] = set()
        self.variables: set[str] = set()  # that code may read of the environment
        self.reads_environment = False
        self._nodes = nodes
        self._hash = hashlib.sha256()
        self._numbers: dict[int, int] = {}
        self._pending: deque[tuple[Any, str]] = deque()
        self._referenced: list[Any] = []  # so that no address is used again during the walk
        self._path = path
        self._depth = depth
        self._budget = Budget()

    def digest(self, root: Any) -> str:
        """The digest of `root`. Raises NotCanonicalError."""
        self.child(root)
        return self._finished()

    def _visit_pending(self) -> None:
        while self._pending:
            node, self._path = self._pending.popleft()
            try:
                self._nodes(self, node)
            except RecursionError:
                raise NotCanonicalError("values nested too deeply", self._path) from None

    def _finished(self) -> str:
        self._visit_pending()
        for name in sorted(self.variables) if self.reads_environment else ():
            self.variable(name)
        return self._hash.hexdigest()[:32]

    def variable(self, name: str) -> None:
        """Write the value of an environment variable that the code may read."""
        value = value_of(name)
        self.put("variable", name, "unset" if value is None else "=" + value)
        self.watch.volatile(value_of, name, value)

    def refuse(self, what: str) -> NotCanonicalError:
        """The error for a value without a digest, with the path of the present node."""
        return NotCanonicalError(what, self._path)

    def put(self, tag: str, *parts: bytes | str) -> None:
        """Write parts of the node, each with its length: ("ab", "c") is not ("a", "bc")."""
        self._write(
            [tag.encode(), *(part.encode(errors="surrogatepass") if isinstance(part, str) else part for part in parts)]
        )

    def child(self, value: Any, label: str = "") -> None:
        """Write a value of the node. `label` is its name in messages."""
        cls = type(value)
        if cls is str:
            self._write([b"s", value.encode(errors="surrogatepass")])
        elif cls is int and value.bit_length() > _LONG:
            self._write([b"int", hex(value).encode()])
        elif cls in _SCALARS:
            self._write([cls.__name__.encode(), repr(value).encode()])
        elif cls is bytes:
            self._write([b"b", value])
        else:
            self._compound(value, label)

    def sorted(self, items: list[Any], label: str) -> None:
        """Write values without an order, in an order that is the same in every process."""
        self.make_room(len(items))
        self._write([b"set", b"%d" % len(items)])
        for digest in sorted(self._apart(item, label) for item in items):
            self._write([digest.encode()])

    def seed(self, thing: Any, label: str = "") -> None:
        """Write the first content of `thing`, which calls change."""
        if seed := seed_of(thing, lambda content: self._part(_joined(self._path, label)).digest(content)):
            self.put("seed", seed)

    def _apart(self, value: Any, label: str) -> str:
        """The digest of a value on its own, within the bounds of this walk."""
        part = self._part(_joined(self._path, label))
        part.watch, part.is_watched, part.reads = self.watch, self.is_watched, self.reads
        digest = part.digest(value)
        self._referenced.append(part._referenced)  # noqa: SLF001 - one of us
        return digest

    def _part(self, path: str) -> "Walk":
        part = Walk(self._nodes, self.state, path=path, depth=self._depth + 1, piece_of=self.piece_of)
        part._budget = self._budget
        return part

    def unwatched(self, write: "Callable[[Walk, Any], None]", value: Any) -> None:
        """Write the digest of what `write` writes of an object whose changes can't be detected: it is digested again each time."""
        part = self._part(self._path)
        digest = part._of(write, value)  # noqa: SLF001 - one of us
        self.put("apart", digest)
        nodes, state, path = self._nodes, self.state, self._path
        self.watch.volatile(lambda same: Walk(nodes, state, path=path)._of(write, same), value, digest)  # noqa: SLF001

    def _of(self, write: "Callable[[Walk, Any], None]", value: Any) -> str:
        self.is_watched = False
        write(self, value)
        return self._finished()

    def make_room(self, values: int) -> None:
        """Raise NotCanonicalError if so many values are more than may still be read, before any of them is."""
        if values > self._budget.parts:
            raise self.refuse(f"more than {_MOST_PARTS:,} values")

    def spend(self, size: int) -> None:
        """Count `size` bytes that will be read. Raises NotCanonicalError if that is too much."""
        self._budget.size -= size
        if self._budget.size < 0:
            raise self.refuse(f"more than {_MOST_BYTES // 1_000_000} MB")

    def _compound(self, value: Any, label: str) -> None:
        cls = type(value)
        if cls is tuple:
            if label.count("(") > _DEEPEST:
                raise self.refuse("tuples nested too deeply")
            self.make_room(len(value))
            self._write([b"(", b"%d" % len(value)])
            for item in value:
                self.child(item, label + "(")
        elif cls is frozenset:
            self.sorted(list(value), label)
        elif cls is types.CodeType:
            self._code(value)
        else:
            value = original_of(value)
            number = self._numbers.get(id(value))
            if number is None:
                number = self._numbers[id(value)] = len(self._numbers)
                self._referenced.append(value)
                self._pending.append((value, _joined(self._path, label)))
            self._write([b"#", b"%d" % number])

    def _code(self, code: types.CodeType) -> None:
        """Write compiled code without line numbers: a comment or a move doesn't change it."""
        arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + 2]
        self._write([b"code", code.co_code, code.co_exceptiontable, repr(arguments).encode()])
        for names in (code.co_names, named, code.co_freevars, code.co_cellvars):
            self._write([b"names", *(name.encode(errors="surrogatepass") for name in names)])
        for constant in code.co_consts:
            self.child(constant)

    def _write(self, parts: list[bytes]) -> None:
        self._budget.parts -= 1
        if self._budget.parts < 0:
            raise self.refuse(f"more than {_MOST_PARTS:,} values")
        self.spend(sum(map(len, parts)))
        self._hash.update(b"%d;" % len(parts) + b"".join([b"%d:%b" % (len(part), part) for part in parts]))


def _joined(path: str, label: str) -> str:
    label = label.rstrip("({")
    if not label or len(path) > 200:
        return path
    return f"{path}.{label}" if path else label
