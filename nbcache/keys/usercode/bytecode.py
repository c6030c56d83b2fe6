"""What compiled code refers to and writes, read from its bytecode: each name by its kind.

An attribute is no global of the same name, and what a function imports while it runs is known by the module's name.
"""

import dis
import functools
from dataclasses import dataclass, field
from types import CodeType

from nbcache.keys.usercode.environment_variables import is_variable

_GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_CELLS = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "LOAD_SUPER_METHOD"}
_NOTHING = {"CACHE", "EXTENDED_ARG", "NOP", "PUSH_NULL", "PRECALL", "RESUME"}
# Methods that change what they are called on: those that tell something of it, and others.
_TAKING = {"pop", "popleft", "popitem", "setdefault"}
_CHANGING = _TAKING | {
    *("append", "appendleft", "extend", "extendleft", "insert", "add", "update", "subtract"),
    *("remove", "discard", "clear", "move_to_end"),
}


@dataclass(slots=True)
class References:
    """What some code and the functions within it refer to.

    `globals` and `cells` are names with the attributes that are read of them, as ("helpers", "STYLE"); `imports` are
    (level, module, name or "") of imports within functions. `attributes` are all names of attributes that are read.

    `written` are names of globals and cells that the code itself sets or whose containers it changes. Of attributes,
    `grown` are those that it adds to or whose containers it changes, and `stored` all that it sets. `consulted` are names of
    either kind of which more is read than to change it, and `rebound` those that get another value. `variables` are texts that may name variables of the environment.
    """

    globals: set[tuple[str, ...]] = field(default_factory=set)
    cells: set[tuple[str, ...]] = field(default_factory=set)
    imports: set[tuple[int, str, str]] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    grown: set[str] = field(default_factory=set)
    consulted: set[str] = field(default_factory=set)
    rebound: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)


@functools.lru_cache(maxsize=2048)
def references(code: CodeType) -> References:
    """The references of `code`, each version of it read once."""
    found = References()
    _read(code, found)
    return found


def _read(code: CodeType, found: References) -> None:
    steps = [step for step in dis.get_instructions(code) if step.opname not in _NOTHING]
    for at, step in enumerate(steps):
        name = step.opname
        if name in _GLOBALS | _CELLS | _ATTRIBUTES and not _is_changed(steps, at):
            found.consulted.add(step.argval)
        if name in _GLOBALS:
            found.globals.add((step.argval, *_attributes_after(steps, at)))
        elif name in _CELLS:
            found.cells.add((step.argval, *_attributes_after(steps, at)))
        elif name in _ATTRIBUTES:
            found.attributes.add(step.argval)
        elif name == "IMPORT_NAME":
            _note_import(steps, at, found)
        _note_written(code, steps, at, found)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _read(constant, found)
        elif is_variable(constant):
            found.variables.add(constant)


def _note_written(code: CodeType, steps: list[dis.Instruction], at: int, found: References) -> None:
    step = steps[at]
    name = step.opname
    if name in _ATTRIBUTES and step.argval in _CHANGING:
        _note_changed(steps[at - 1], found)
    elif name in {"STORE_GLOBAL", "DELETE_GLOBAL"} or (name == "STORE_DEREF" and step.argval in code.co_freevars):
        found.written.add(step.argval)
        found.rebound.add(step.argval)
    elif name == "STORE_ATTR":
        found.stored.add(step.argval)
        found.rebound.add(step.argval)
        if _adds(steps, at):
            found.grown.add(step.argval)
    elif name in {"STORE_SUBSCR", "DELETE_SUBSCR"} and (owner := _subscripted(steps, at)) is not None:
        _note_changed(steps[owner], found)


def _is_changed(steps: list[dis.Instruction], at: int) -> bool:
    """Whether what is loaded there is only changed, by one of its methods."""
    after = steps[at + 1] if at + 1 < len(steps) else None
    return after is not None and after.opname in _ATTRIBUTES and after.argval in _CHANGING - _TAKING


def _attributes_after(steps: list[dis.Instruction], at: int) -> tuple[str, ...]:
    """The attributes that are read one of the other from what `steps[at]` loads."""
    names = []
    for step in steps[at + 1 :]:
        if step.opname not in _ATTRIBUTES:
            break
        names.append(step.argval)
    return tuple(names)


def _note_import(steps: list[dis.Instruction], at: int, found: References) -> None:
    level = next((step.argval for step in steps[at - 2 : at - 1] if isinstance(step.argval, int)), 0)
    names = []
    for step in steps[at + 1 :]:
        if step.opname == "IMPORT_FROM":
            names.append(step.argval)
        elif not step.opname.startswith("STORE_"):
            break
    found.imports |= {(level, steps[at].argval, name) for name in names or [""]}


def _note_changed(step: dis.Instruction, found: References) -> None:
    """Note that what `step` loads is changed in place."""
    if step.opname in _GLOBALS | _CELLS:
        found.written.add(step.argval)
    elif step.opname in _ATTRIBUTES:
        found.grown.add(step.argval)


def _adds(steps: list[dis.Instruction], at: int) -> bool:
    """Whether the attribute that is stored there is what it was and something more: `self.calls += 1`."""
    before = [step for step in steps[max(0, at - 2) : at] if step.opname != "SWAP"]
    return bool(before) and before[-1].opname == "BINARY_OP" and before[-1].argrepr.endswith("=")


def _subscripted(steps: list[dis.Instruction], at: int) -> int | None:
    """Which step loads the container in which the step `at` sets an item: before the one that loads the index."""
    first = at - 1
    for start in range(at - 1, max(-1, at - 40), -1):  # of `x[i] += 1`: container and index are copied first
        if steps[start].opname == "COPY" and steps[start - 1].opname == "COPY":
            first = start - 2
            break
        if steps[start].opname.startswith("STORE_"):
            break
    depth = 0
    for start in range(first, max(-1, first - 40), -1):
        step = steps[start]
        try:
            depth += dis.stack_effect(step.opcode, step.arg, jump=False)
        except ValueError:
            return None
        if depth == 1:
            return start - 1 if start else None
    return None
