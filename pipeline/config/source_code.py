"""The package's own source, read without importing it: which modules import which, and what a
class declares.

So the process that runs Snakemake learns what it must know of plug-ins that are too heavy for it
to import.
"""

import ast
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from pipeline.errors import PipelineError

PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).parents[2]
HOLDING_STATEMENTS = ("body", "handlers", "orelse", "finalbody", "cases")
"""Fields of syntax nodes with lists of statements, or of what holds statements, in their order."""


@cache
def first_party_imports(module: str) -> frozenset[str]:
    """First-party modules that `module` imports directly, with the packages they lie in."""
    imported = with_packages(module)
    for node in statements(tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imported |= with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            imported |= with_packages(base)
            for alias in node.names:
                if path_of(f"{base}.{alias.name}") is not None:
                    imported |= with_packages(f"{base}.{alias.name}")
    return frozenset(imported - {module})


def class_constant(module: str, name: str) -> str | bool | tuple[str, ...] | None:
    """The string, truth value or tuple of strings that a class of `module`, or of a sibling that it
    imports, binds `name` to.

    For what the driver must know of a plug-in whose import is too heavy for it. None if there is
    no such constant.
    """
    siblings = {m for m in first_party_imports(module) if _parent(m) == _parent(module)}
    for candidate in (module, *sorted(siblings)):
        for owner in statements(tree(candidate)):
            if isinstance(owner, ast.ClassDef):
                for target, value in _bindings(owner):
                    if target == name and isinstance(value, str | bool | tuple):
                        return value
    return None


def constant(module: str, name: str) -> bool | tuple[str, ...] | None:
    """The truth value or tuple of strings that `module` itself binds `name` to; None if there is
    none.
    """
    found = dict(_bindings(tree(module))).get(name)
    return found if isinstance(found, bool | tuple) else None


def defines(module: str, name: str) -> bool:
    """Whether `module` binds `name` at its top level: defines, assigns or imports it."""
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return True
        aliases = node.names if isinstance(node, ast.Import | ast.ImportFrom) else []
        if name in {alias.asname or alias.name for alias in aliases}:
            return True
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return True
    return False


@cache
def tree(module: str) -> ast.Module:
    """The syntax of a first-party module; PipelineError where there is none or it is broken."""
    path = path_of(module)
    if path is None:
        raise PipelineError(f"no module {module}: {module.replace('.', '/')}.py does not exist")
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise PipelineError(f"{path.name}, line {error.lineno}: {error.msg}") from None


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and all statements in it in the order of `ast.walk`, without their expressions, which
    most nodes are.
    """
    waiting = deque([node])
    while waiting:
        node = waiting.popleft()
        yield node
        for field in HOLDING_STATEMENTS:
            held = getattr(node, field, None)
            if isinstance(held, list):
                waiting.extend(held)


def _bindings(owner: ast.ClassDef | ast.Module) -> Iterator[tuple[str, object]]:
    """Names that a class or a module binds to constants, with the constants."""
    for node in owner.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        value = getattr(node, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(value, ast.Constant | ast.Tuple):
                with suppress(ValueError):  # a tuple of more than constants
                    yield target.id, ast.literal_eval(value)


def _absolute(module: str, node: ast.ImportFrom) -> str:
    """The module a `from … import` names, relative ones resolved."""
    if node.level == 0:
        return node.module or ""
    is_package = (path := path_of(module)) is not None and path.name == "__init__.py"
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def with_packages(module: str) -> set[str]:
    """`module` and the packages above it, as far as they are first-party and have a source."""
    if module.partition(".")[0] != PACKAGE:
        return set()
    return {name for name in (module, *_packages_of(module)) if path_of(name) is not None}


def _packages_of(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _parent(module: str) -> str:
    return module.rpartition(".")[0]


@cache
def path_of(module: str) -> Path | None:
    """Source file of a first-party module or package; None if there is none."""
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
