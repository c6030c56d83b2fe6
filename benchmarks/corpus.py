"""Real English and real code to build prompts and answers from: docstrings and functions of the standard library."""

import ast
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Large, well-documented modules: some 2,000 functions, parsed in about two seconds. The order is part of the workload.
MODULES = (
    "argparse",
    "ast",
    "asyncio",
    "calendar",
    "collections",
    "concurrent/futures",
    "configparser",
    "contextlib",
    "csv",
    "dataclasses",
    "datetime",
    "difflib",
    "doctest",
    "email",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "html",
    "http",
    "imaplib",
    "inspect",
    "ipaddress",
    "json",
    "logging",
    "mailbox",
    "multiprocessing",
    "optparse",
    "pathlib",
    "pickletools",
    "platform",
    "pydoc",
    "random",
    "shutil",
    "smtplib",
    "socket",
    "statistics",
    "string",
    "subprocess",
    "tarfile",
    "tempfile",
    "textwrap",
    "threading",
    "tokenize",
    "traceback",
    "turtle",
    "typing",
    "unittest",
    "urllib",
    "uuid",
    "zipfile",
)
MIN_PROSE, MAX_CODE = 60, 1_400  # characters; less says nothing, more does not fit an answer


@dataclass(frozen=True)
class Topic:
    """One documented function or class: what a person asks about, and what a model answers with."""

    name: str
    prose: str
    code: str


@cache
def topics() -> tuple[Topic, ...]:
    """Every documented function and class of the modules, in a fixed order."""
    library = Path(ast.__file__).parent
    return tuple(topic for module in MODULES for path in _files(library / module) for topic in _parse(path, library))


def _files(module: Path) -> list[Path]:
    return sorted(module.glob("*.py")) if module.is_dir() else [module.with_suffix(".py")]


def _parse(path: Path, library: Path) -> Iterator[Topic]:
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    module = ".".join(path.relative_to(library).with_suffix("").parts).removesuffix(".__init__")
    for scope, node in _definitions(ast.parse(source), module):
        prose = ast.get_docstring(node)
        if prose and len(prose) >= MIN_PROSE:
            # Without its docstring: an answer that said the same thing twice would compress better than real ones do.
            said = node.body[0]
            code = "\n".join([*lines[node.lineno - 1 : said.lineno - 1], *lines[said.end_lineno : node.end_lineno]])
            yield Topic(f"{scope}.{node.name}", prose, textwrap.dedent(code)[:MAX_CODE].rsplit("\n", 1)[0])


def _definitions(
    tree: ast.Module | ast.ClassDef, scope: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield scope, node
        elif isinstance(node, ast.ClassDef):
            yield scope, node
            yield from _definitions(node, f"{scope}.{node.name}")
