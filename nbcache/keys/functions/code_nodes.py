"""What counts of each kind of code: functions, classes, modules, and what Python wraps them in."""

import builtins
import functools
import sys
from collections.abc import Collection, Mapping
from types import FunctionType, ModuleType
from typing import Any

from nbcache.keys.functions.class_members import write_class
from nbcache.keys.functions.code_walk import (
    FIELD,
    CodePiece,
    CodeWalk,
    Name,
    is_missing_or_code,
    unwrapped,
)
from nbcache.keys.functions.compiled_code import compiled_code
from nbcache.keys.functions.late_imports import write_sources
from nbcache.keys.functions.libraries import place_in_library
from nbcache.keys.functions.library_functions import content_of, write_librarys_function
from nbcache.keys.functions.run_state import reader, reader_imported, reader_in
from nbcache.keys.usercode.annotations import annotations_of
from nbcache.keys.usercode.bytecode_names import References, references
from nbcache.keys.usercode.change_detection import MISSING
from nbcache.keys.usercode.environment_variables import is_environment
from nbcache.keys.usercode.functions import (
    UNREADABLE,
    builtin_named,
    note_environment,
)
from nbcache.keys.usercode.module_sources import absolute_name
from nbcache.keys.usercode.origin import is_users_code, is_users_module
from nbcache.keys.usercode.refusal_cache import unless_refused
from nbcache.keys.usercode.wrappers_and_containers import BUILTIN, DESCRIPTORS, WRAPPERS

_MOST_PIECES = 512
_pieces: dict[int, CodePiece] = {}
_INLINE = (list, dict, set)
_WRAPPERS = {**WRAPPERS, functools.singledispatchmethod: ("dispatcher", "func")}


def piece_of(thing: Any) -> CodePiece:
    """The code of a class, function or module that is used as a value. Raises NotCanonicalError."""
    cached = _pieces.get(id(thing))
    if cached is not None and cached.thing is thing and cached.is_current():
        return cached
    piece = unless_refused(thing, "code", CodeWalk(write_code, thing, frozenset(), is_called=False).piece)
    if len(_pieces) >= _MOST_PIECES:
        _pieces.clear()
    _pieces[id(thing)] = piece
    return piece


def called_piece(thing: FunctionType | type, ignore: frozenset[str], *also: Any) -> CodePiece:
    """The code of a function or of a tool's class that is called, without the names to `ignore`. Raises NotCanonicalError.

    A tool may have an async function, `also`.
    """
    walk = CodeWalk(write_code, thing, ignore, is_called=True)
    return unless_refused(thing, f"call {sorted(ignore)}", functools.partial(walk.piece, *also))


def write_code(walk: CodeWalk, value: Any) -> None:  # noqa: C901 - one line for each kind of code
    """Write into `walk` what counts of some code. Raises NotCanonicalError."""
    cls = type(value)
    walk.check_run_state(reader(value))
    if cls is FunctionType:
        _function(walk, value)
    elif issubclass(cls, type):
        write_class(walk, value)
    elif issubclass(cls, ModuleType):
        _module(walk, value)
    elif (wrapper := next((base for base in cls.__mro__ if base in _WRAPPERS), None)) is not None:
        walk.put("wrapper", wrapper.__qualname__)
        if cls is not wrapper:
            walk.code(cls)
        for name in _WRAPPERS[wrapper]:
            part = getattr(value, name)
            if type(part) is FunctionType and wrapper in {property, functools.cached_property}:
                walk.getters.add(part)
            walk.part(part, name)
    elif cls in _INLINE:
        _container(walk, value)
    elif isinstance(value, BUILTIN):
        owner = getattr(value, "__objclass__", None) or getattr(value, "__self__", None)
        module = getattr(value, "__module__", None) or getattr(owner, "__module__", "")
        walk.library(module, value.__qualname__)
    elif isinstance(value, (*DESCRIPTORS, FIELD)):
        walk.put("descriptor", cls.__name__)
    elif (place := place_in_library(value)) is not None:
        walk.library(*place)
    else:
        walk.data(Name(f"a {cls.__qualname__}", None, "", value))


def _function(walk: CodeWalk, function: FunctionType) -> None:
    if is_users_code(function):
        _users_function(walk, function)
    elif function in walk.called and "__wrapped__" not in function.__dict__:
        walk.library(function.__globals__.get("__name__"), function.__code__.co_qualname)
        _closure(walk, function, "")  # whatever a library has made it of: a retriever, a chain
    else:
        write_librarys_function(walk, function)


def _container(walk: CodeWalk, value: Any) -> None:
    """A container of fixed values and code, which is a part of the code that holds it."""
    walk.put(type(value).__name__, str(len(value)))
    if isinstance(value, dict):
        walk.watch.mapping(value)
        for key, item in value.items():
            _item(walk, key)
            _item(walk, item)
        return
    walk.watch.container(value)
    if isinstance(value, set):
        walk.sorted([*value], "")
        return
    for item in value:
        _item(walk, item)


def _item(walk: CodeWalk, value: Any) -> None:
    if type(value) is FunctionType or issubclass(type(value), type):
        walk.handed_on.add(value.__name__)
    walk.part(value, "")


def _users_function(walk: CodeWalk, function: FunctionType) -> None:
    code = compiled_code(function.__code__)
    is_called = function in walk.called
    is_root = is_called and function is walk.root
    qualname = "" if is_root else function.__qualname__ + "."
    walk.put("function", function.__name__, code.digest)
    walk.watch.function(function)
    walk.handed_on |= code.handed_on
    own = set() if function in walk.getters else {function.__name__, function.__code__.co_name}
    if function is walk.root and not is_called:
        walk.handed_on.add(function.__name__)
    for name, docstring in code.docstrings:
        walk.reflected({name}, lambda name=name, docstring=docstring: walk.put("docstring", name, docstring))  # type: ignore[misc]
    walk.reflected(own, lambda: _reflection(walk, function))
    if is_root:
        walk.if_root_is_used(lambda: _defaults(walk, function))
    else:
        _defaults(walk, function)
    _closure(walk, function, qualname)
    _references(walk, function, references(function.__code__))
    _attributes(walk, function, own)


def _reflection(walk: CodeWalk, function: FunctionType) -> None:
    walk.watch.attributes(function, ("__doc__",), [function.__doc__])
    walk.put("docstring", "" if function.__doc__ is None else "=" + str(function.__doc__))
    for name, annotation in annotations_of(function).items():
        walk.put("annotation", name)
        walk.part(annotation, f"{function.__qualname__}.{name}: annotation")


def _defaults(walk: CodeWalk, function: FunctionType) -> None:
    count, defaults = function.__code__.co_argcount, function.__defaults__ or ()
    names = function.__code__.co_varnames[count - len(defaults) : count]
    values = {**dict(zip(names, defaults, strict=False)), **(function.__kwdefaults__ or {})}
    if function.__kwdefaults__:
        walk.watch.mapping(function.__kwdefaults__)
    for name, value in values.items():
        walk.put("default", name)
        walk.part(value, f"{function.__qualname__}.{name}")


def _closure(walk: CodeWalk, function: FunctionType, prefix: str) -> None:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        label = prefix + name
        if name == "__class__" or label in walk.ignore:
            continue
        value = content_of(cell)
        walk.put("cell", name)
        if is_missing_or_code(value):
            walk.watch.cell(cell, value)
            if value is not MISSING:
                walk.code(value, name)
        elif not is_environment(value):
            walk.data(Name(label, cell, name, None))


def _references(walk: CodeWalk, function: FunctionType, names: References) -> None:
    """What the names in a function's code mean now."""
    walk.reads |= names.attributes | names.consulted
    walk.variables |= names.variables
    if "__doc__" in function.__code__.co_consts:
        walk.reads.add("__doc__")
    namespace = function.__globals__
    for head, *attributes in sorted(names.globals):
        walk.reads.add(head)
        label = walk.label(namespace.get("__name__"), head)
        if label in walk.ignore:
            continue
        value = namespace.get(head, MISSING)
        if value is MISSING:
            walk.watch.name(namespace, head, value)
            walk.check_run_state(reader_in(builtins, [head]))
            value = builtin_named(walk, head)
            if value is not MISSING:
                walk.put("builtin", head)
                walk.part(value, head)
            elif head in UNREADABLE:
                raise walk.refuse(f"a function that uses {head}()")
            continue
        note_environment(walk, value, attributes)
        _chain(walk, namespace, head, attributes)
    if names.computes_imports:
        raise walk.refuse("a function that uses importlib.import_module() of a name that it computes")
    for level, module, name in sorted(names.imports):
        if module == "os" and not {"environ", "getenv"}.isdisjoint({name, *names.attributes}):
            walk.reads_environment = True
        _imported(walk, namespace, (level, module, name), names.attributes)


def _chain(walk: CodeWalk, namespace: Mapping[str, Any], name: str, attributes: list[str]) -> None:
    """Write what a name with attributes means: `helpers.STYLE` is a name in the user's module `helpers`."""
    value = namespace[name]
    while attributes and isinstance(value, ModuleType) and is_users_module(value):
        walk.watch.name(namespace, name, value)
        module, (name, *attributes) = value, attributes
        namespace = vars(module)
        value = namespace.get(name, MISSING)
        if value is MISSING:
            _member(walk, module, name)
            return
    label = walk.label(namespace.get("__name__"), name)
    if label in walk.ignore or is_environment(value):
        return
    if isinstance(value, ModuleType):
        walk.check_run_state(reader_in(value, attributes))
    walk.put("name", name)
    if is_missing_or_code(value):
        walk.watch.name(namespace, name, value)
        if (inner := unwrapped(value)) is not value and hasattr(value, "__wrapped__"):
            walk.watch.attributes(value, ("__wrapped__",), [value.__wrapped__])
        walk.code(inner, name)
    else:
        if isinstance(value, str):
            walk.watch.name(namespace, name, value)  # it may be the name of an environment variable
        walk.data(Name(label, namespace, name, None))


def _imported(
    walk: CodeWalk, namespace: Mapping[str, Any], imported: tuple[int, str, str], attributes: Collection[str]
) -> None:
    """Write what a function imports while it runs. `attributes` are all that its code reads, of whatever."""
    level, relative_name, member = imported
    name = absolute_name(namespace, level, relative_name)
    if name is None:
        return
    module = sys.modules.get(name)
    walk.watch.name(sys.modules, name, MISSING if module is None else module)
    if (imports := write_sources(walk, name, member)) is not None:
        for other, attribute in imports.others:
            _imported(walk, {}, (0, other, attribute), walk.reads)
        return
    walk.check_run_state(reader_imported(name, member, attributes))
    if module is None or not is_users_module(module):
        walk.library(name, member)
    elif not member:
        walk.put("import", name)
        for loaded in dict.fromkeys((name.partition(".")[0], name)):
            walk.code(sys.modules[loaded], loaded)
    else:
        walk.put("import", name, member)
        walk.handed_on.add(member)  # it is a local name from here on
        _member(walk, module, member)


def _member(walk: CodeWalk, module: ModuleType, name: str) -> None:
    """Write what a module has under a name: a value, a module in a package, or what the module makes when it is asked."""
    namespace = vars(module)
    if name in namespace:
        _chain(walk, namespace, name, [])
        return
    walk.watch.name(namespace, name, MISSING)
    if "__getattr__" in namespace:
        _chain(walk, namespace, "__getattr__", [])
    if hasattr(module, "__path__"):
        _imported(walk, namespace, (0, f"{module.__name__}.{name}", ""), ())


def _attributes(walk: CodeWalk, function: FunctionType, own: set[str]) -> None:
    """The attributes that were set on a function count if code may read them."""
    attributes = function.__dict__
    if not attributes:
        return
    walk.watch.mapping(attributes)
    for name, value in sorted(attributes.items()):
        if name == "__wrapped__":
            walk.code(value, name)
        else:
            walk.if_read(name, own, lambda name=name, value=value: _attribute(walk, function, name, value))  # type: ignore[misc]


def _attribute(walk: CodeWalk, function: FunctionType, name: str, value: Any) -> None:
    walk.put("attribute", name)
    walk.part(value, f"{function.__qualname__}.{name}")


def _module(walk: CodeWalk, module: ModuleType) -> None:
    """A module of the user's that is used as a value counts by all that it contains."""
    if not is_users_module(module):
        walk.library(module.__name__)
        return
    if module.__name__ == "__main__":
        raise walk.refuse("the notebook's own namespace")
    walk.put("module", module.__name__)
    namespace = vars(module)
    for name in sorted(namespace):
        if not name.startswith("__"):
            _chain(walk, namespace, name, [])
    walk.watch.volatile(_names_in, namespace, _names_in(namespace))


def _names_in(namespace: Mapping[str, Any]) -> list[str]:
    return [*namespace]
