"""What of a function counts: its code, and all that the names in it mean now."""

import builtins
import os
import sys
import types
from typing import Any

from nbcache.keys.usercode.annotations import annotations_of
from nbcache.keys.usercode.bytecode_names import references
from nbcache.keys.usercode.change_detection import MISSING
from nbcache.keys.usercode.environment_variables import is_environment, is_variable
from nbcache.keys.usercode.module_sources import absolute_name, imports_of, source_stamp
from nbcache.keys.usercode.origin import is_users_code, is_users_module
from nbcache.keys.usercode.walk import Walk

_BUILTINS = {"get_ipython", "display", "help", "exit", "quit", "copyright", "credits", "license", "_", "__debug__"}
# What a function refers to by these can't be read from its code.
UNREADABLE = {"globals", "eval", "exec", "__import__"}


def write_function(walk: Walk, function: types.FunctionType) -> None:
    """Write what counts of a function. A library's counts by its name and its closure."""
    is_users = is_users_code(function)
    name = (str(function.__globals__.get("__name__")), function.__code__.co_qualname)
    if not is_users:
        walk.put("library's function", *name)
        _closure(walk, function)
        if (wrapped := function.__dict__.get("__wrapped__")) is not None:
            walk.child(wrapped, "__wrapped__")
        return
    if walk.piece_of is not None:
        walk.put("piece", walk.piece_of(function).digest)
        return
    walk.put("function", function.__name__)
    walk.watch.function(function)
    walk.child(function.__code__)
    walk.child(function.__doc__)
    walk.child(function.__defaults__, "defaults")
    if function.__kwdefaults__:
        walk.child(function.__kwdefaults__, "defaults")
    _closure(walk, function)
    _references(walk, function)
    for label, annotation in annotations_of(function).items():
        walk.put("annotation", label)
        walk.child(annotation, label)
    _attributes(walk, function.__dict__)


def _attributes(walk: Walk, attributes: dict[str, Any]) -> None:
    """The attributes that were set on a function, for example by a decorator."""
    if not attributes:
        return
    walk.watch.mapping(attributes)
    for name, value in sorted(attributes.items()):
        if not walk.state.is_state(name, value):
            walk.put("attribute", name)
            walk.child(value, name)


def _closure(walk: Walk, function: types.FunctionType) -> None:
    """The values of its closure, such as the arguments of the decorator that made it."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        if name == "__class__":
            continue  # the class of a method that uses `super()`
        try:
            value = cell.cell_contents
        except ValueError:
            value = MISSING
        if walk.state.holds(cell, name, value):
            if walk.state.is_consulted(name, value):
                walk.seed(value, name)
        else:
            walk.put("cell", name)
            walk.watch.cell(cell, value)
            if value is not MISSING:
                walk.child(value, name)


def _references(walk: Walk, function: types.FunctionType) -> None:
    """The present values of the names in a function's code."""
    names = references(function.__code__)
    walk.reads |= names.attributes
    walk.variables |= names.variables
    namespace = function.__globals__
    for head, *attributes in sorted(names.globals):
        walk.reads.add(head)
        value = namespace.get(head, MISSING)
        if walk.state.holds(namespace, head, value):
            if walk.state.is_consulted(head, value):
                walk.put("global", head)
                walk.seed(value, head)
            continue
        walk.watch.name(namespace, head, value)
        if value is MISSING:
            value = builtin_named(walk, head)
        if value is not MISSING:
            walk.put("global", head)
            note_environment(walk, value, attributes)
            _chain(walk, value, attributes, head)
        elif head in UNREADABLE:
            raise walk.refuse(f"a function that uses {head}()")
    for level, module, name in sorted(names.imports):
        if module == "os" and not {"environ", "getenv"}.isdisjoint({name, *names.attributes}):
            walk.reads_environment = True
        _imported(walk, namespace, (level, module, name))


def note_environment(walk: Walk, value: Any, attributes: list[str]) -> None:
    """Note whether a name with this value, from which these attributes are read, leads to environment variables."""
    if isinstance(value, str):
        walk.variables |= {value} if is_variable(value) else set()
    elif isinstance(value, types.ModuleType) and attributes:
        walk.reads_environment |= value is os and attributes[0] in {"environ", "getenv"}
    else:
        walk.reads_environment |= is_environment(value)


def builtin_named(walk: Walk, name: str) -> Any:
    """A value that somebody has added to Python's builtins. MISSING for one of Python's own, or for no value."""
    namespace = vars(builtins)
    value = namespace.get(name, MISSING)
    walk.watch.name(namespace, name, value)
    is_own = isinstance(value, types.BuiltinFunctionType) or (isinstance(value, type) and not is_users_code(value))
    return MISSING if is_own or name in _BUILTINS else value


def _chain(walk: Walk, value: Any, attributes: list[str], label: str) -> None:
    """Write the value of a name with attributes: `helpers.STYLE` is a value in the user's module `helpers`."""
    for name in attributes:
        if not isinstance(value, types.ModuleType):
            break
        if not is_users_module(value):
            if (value.__name__, name) == ("sys", "modules"):
                raise walk.refuse("a function that uses sys.modules")
            break
        label += "." + name
        namespace = vars(value)
        member = namespace.get(name, MISSING)
        if walk.state.is_state(name, member):
            return
        walk.watch.name(namespace, name, member)
        if member is MISSING:
            return
        value = member
    walk.child(value, label)


def _imported(walk: Walk, namespace: dict[str, Any], imported: tuple[int, str, str]) -> None:
    """Write a user's module that a function imports while it runs; if it is not imported yet, by its source."""
    level, relative_name, member = imported
    name = absolute_name(namespace, level, relative_name)
    if name is None:
        return
    walk.watch.name(sys.modules, name, sys.modules.get(name, MISSING))
    module = sys.modules.get(name)
    if module is not None:
        if is_users_module(module):
            walk.put("import", name, member)
            _chain(walk, module, [member] if member else [], name)
        return
    imports = imports_of(name, member, lambda each: each in sys.modules)
    for source in imports.sources if imports is not None else ():
        walk.put("import of source", source.name)
        walk.watch.volatile(source_stamp, source.file, source.stamp())
        walk.put(source.file.read_bytes().hex())
    for other, attribute in imports.others if imports is not None else ():
        _imported(walk, {}, (0, other, attribute))
