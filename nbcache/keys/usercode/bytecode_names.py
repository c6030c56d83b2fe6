"""The names that compiled code reads and writes, by kind, from its bytecode.

Attributes and globals are listed apart, since a name may be both. An import within a function is listed by its module's name.
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
# Methods that change their object. Those in `_TAKING` also return a part of it.
_TAKING = {"pop", "popleft", "popitem", "setdefault"}
_CHANGING = _TAKING | {
    *("append", "appendleft", "extend", "extendleft", "insert", "add", "update", "subtract"),
    *("remove", "discard", "clear", "move_to_end"),
}


@dataclass(slots=True)
class References:
    """The names in some code and in the functions within it.

    Attributes:
        globals, cells: names, each with the attributes that are read from it, such as ("helpers", "STYLE").
        imports: (level, module, name or "") of each import within a function.
        attributes: all attributes that are read.
        written: globals and cells that the code assigns, or whose value it changes in place (`names.append(1)`).
        grown: attributes that it adds to (`self.calls += 1`), or whose value it changes in place.
        consulted: names of any kind that it reads, other than to change their value in place.
        rebound: names of any kind that it assigns.
        variables: texts that may be names of environment variables.
        stored: all attributes that it assigns.
        computes_imports: whether it imports modules whose names are not in it, by `importlib.import_module(name)`.
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
    computes_imports: bool = False


@functools.lru_cache(maxsize=2048)
def references(code: CodeType) -> References:
    """The names in `code`. Each code object is read once."""
    names = References()
    _read(code, names)
    return names


def _read(code: CodeType, names: References) -> None:
    steps = [step for step in dis.get_instructions(code) if step.opname not in _NOTHING]
    for at, step in enumerate(steps):
        name = step.opname
        if name in _GLOBALS | _CELLS | _ATTRIBUTES and not _is_changed(steps, at):
            names.consulted.add(step.argval)
        if name in _GLOBALS:
            names.globals.add((step.argval, *_attributes_after(steps, at)))
        elif name in _CELLS:
            names.cells.add((step.argval, *_attributes_after(steps, at)))
        elif name in _ATTRIBUTES:
            names.attributes.add(step.argval)
        _note_import(steps, at, names)
        _note_written(code, steps, at, names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _read(constant, names)
        elif is_variable(constant):
            names.variables.add(constant)


def _note_written(code: CodeType, steps: list[dis.Instruction], at: int, names: References) -> None:
    step = steps[at]
    name = step.opname
    if name in _ATTRIBUTES and step.argval in _CHANGING:
        _note_changed(steps[at - 1], names)
    elif name in {"STORE_GLOBAL", "DELETE_GLOBAL"} or (name == "STORE_DEREF" and step.argval in code.co_freevars):
        names.written.add(step.argval)
        names.rebound.add(step.argval)
    elif name == "STORE_ATTR":
        names.stored.add(step.argval)
        names.rebound.add(step.argval)
        if _adds(steps, at):
            names.grown.add(step.argval)
    elif name in {"STORE_SUBSCR", "DELETE_SUBSCR"} and (owner := _subscripted(steps, at)) is not None:
        _note_changed(steps[owner], names)


def _is_changed(steps: list[dis.Instruction], at: int) -> bool:
    """Whether the code only changes the object that `steps[at]` loads: the next step is a method such as `append`."""
    after = steps[at + 1] if at + 1 < len(steps) else None
    return after is not None and after.opname in _ATTRIBUTES and after.argval in _CHANGING - _TAKING


def _attributes_after(steps: list[dis.Instruction], at: int) -> tuple[str, ...]:
    """The chain of attributes that is read from what `steps[at]` loads."""
    names = []
    for step in steps[at + 1 :]:
        if step.opname not in _ATTRIBUTES:
            break
        names.append(step.argval)
    return tuple(names)


def _note_import(steps: list[dis.Instruction], at: int, names: References) -> None:
    step = steps[at]
    if step.opname == "IMPORT_NAME":
        level = next((step.argval for step in steps[at - 2 : at - 1] if isinstance(step.argval, int)), 0)
        names.imports |= {(level, step.argval, member) for member in _imported_members(steps, at) or [""]}
    elif step.opname in _GLOBALS | _CELLS | _ATTRIBUTES and step.argval == "import_module":
        argument = steps[at + 1] if at + 1 < len(steps) else step
        if argument.opname == "LOAD_CONST" and not str(argument.argval).startswith("."):
            names.imports.add((0, str(argument.argval), ""))
        else:
            names.computes_imports = True


def _imported_members(steps: list[dis.Instruction], at: int) -> list[str]:
    if steps[at - 1].opname == "LOAD_CONST" and steps[at - 1].argval is None:
        return []  # of `import a.b as c` the code takes b from a, too
    members = []
    for step in steps[at + 1 :]:
        if step.opname == "IMPORT_FROM":
            members.append(step.argval)
        elif not step.opname.startswith("STORE_"):
            break
    return members


def _note_changed(step: dis.Instruction, names: References) -> None:
    """Note that the code changes the object which `step` loads."""
    if step.opname in _GLOBALS | _CELLS:
        names.written.add(step.argval)
    elif step.opname in _ATTRIBUTES:
        names.grown.add(step.argval)


def _adds(steps: list[dis.Instruction], at: int) -> bool:
    """Whether `steps[at]` adds to the attribute that it stores: `self.calls += 1`."""
    before = [step for step in steps[max(0, at - 2) : at] if step.opname != "SWAP"]
    return bool(before) and before[-1].opname == "BINARY_OP" and before[-1].argrepr.endswith("=")


def _subscripted(steps: list[dis.Instruction], at: int) -> int | None:
    """The step that loads the container in which `steps[at]` sets an item. It comes before the one that loads the index."""
    first = at - 1
    for start in range(at - 1, max(-1, at - 40), -1):  # `x[i] += 1` copies the container and the index first
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
