"""Where an artefact comes from: the code, read without importing it, and the packages' versions.

`source_digest` makes Snakemake notice an edited module: every rule carries it as a parameter, so a
change of what the code does re-runs the rule, and one of comments, docstrings or layout does not.
"""

import ast
import hashlib
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeGuard

from pipeline.errors import PipelineError

PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).parent.parent

NO_INFLUENCE = frozenset(
    {
        f"{PACKAGE}.{leaf}"
        for leaf in (
            *(
                "validation",
                "published",
                "experiment",
                "config_files",
                "errors",
                "plugins",
            ),
            *("provenance", "records", "records.contents", "records.host"),
        )
    }
)
"""Modules that cannot change what a stage computes, left out of every digest, imports included.

A better error message must not redo hours of work; plug-ins are named by the caller; records are
written when the result is there.
"""
SETTINGS = frozenset({f"{PACKAGE}.config", f"{PACKAGE}.config_data"})
"""Modules of which functions and plain constants count alone: settings reach a stage as JSON that
its rule carries as a parameter of its own, so a new key changes nothing.
"""


def source_digest(module: str, *plugin_modules: str) -> str:
    """SHA-256 of the code of `module`, `plugin_modules` and all first-party code that they import.

    Blind to comments, docstrings and layout. Follows imports transitively, also those inside
    functions, and package `__init__` files; imports nothing itself. Raises PipelineError for a
    module that does not exist or does not parse.
    """
    found: set[str] = set()
    waiting = [module, *plugin_modules]
    while waiting:
        name = waiting.pop()
        if name not in found | NO_INFLUENCE:
            found.add(name)
            if name not in SETTINGS:
                waiting.extend(first_party_imports(name) - found)
    return code_digest(found)


def code_digest(modules: Iterable[str]) -> str:
    """SHA-256 of the code of these first-party modules alone, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(modules):
        digest.update(f"{name} {_own_digest(name)}\n".encode())
    return digest.hexdigest()


def loaded_modules() -> set[str]:
    """First-party modules that this process has imported, late plug-ins among them.

    Without those of NO_INFLUENCE, and without the one that runs as `__main__`.
    """
    return {name for name in list(sys.modules) if _with_packages(name)} - NO_INFLUENCE


@cache
def first_party_imports(module: str) -> frozenset[str]:
    """First-party modules that `module` imports directly, with the packages they lie in."""
    imported = _with_packages(module)
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imported |= _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            imported |= _with_packages(base)
            for alias in node.names:
                if _path(f"{base}.{alias.name}") is not None:
                    imported |= _with_packages(f"{base}.{alias.name}")
    return frozenset(imported - {module})


def class_constant(module: str, name: str) -> str | bool | tuple[str, ...] | None:
    """The string, truth value or tuple of strings that a class of `module`, or of a sibling that it
    imports, binds `name` to.

    For what the driver must know of a plug-in whose import is too heavy for it. None if there is
    no such constant.
    """
    siblings = {m for m in first_party_imports(module) if _parent(m) == _parent(module)}
    for candidate in (module, *sorted(siblings)):
        for owner in ast.walk(_tree(candidate)):
            if isinstance(owner, ast.ClassDef):
                for target, value in _bindings(owner):
                    if target == name and isinstance(value, str | bool | tuple):
                        return value
    return None


def versions(*packages: str) -> dict[str, str]:
    """Version of each of the distributions that is installed, without importing it."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise PipelineError(f"no module {module}: {module.replace('.', '/')}.py does not exist")
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise PipelineError(f"{path.name}, line {error.lineno}: {error.msg}") from None


@cache
def _own_digest(module: str) -> str:
    """Digest of one module's syntax tree without docstrings and positions."""
    tree = ast.parse(ast.unparse(_tree(module)))  # a copy: the cached tree keeps its docstrings
    if module in SETTINGS:
        tree = ast.Module([node for node in ast.walk(tree) if _is_behaviour(node)], [])
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _is_text(item)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a bare string: a docstring, or one below an attribute."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_behaviour(node: ast.AST) -> TypeGuard[ast.stmt]:
    """Whether a part of the settings' schema is computed with: a function, unless it validates, or
    a name for a constant.
    """
    if isinstance(node, ast.FunctionDef):
        return not any("validator" in ast.unparse(each) for each in node.decorator_list)
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)


def _bindings(owner: ast.ClassDef) -> Iterator[tuple[str, object]]:
    """Names that a class body binds to constants, with the constants."""
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
    is_package = (path := _path(module)) is not None and path.name == "__init__.py"
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def _with_packages(module: str) -> set[str]:
    """`module` and the packages above it, as far as they are first-party and have a source."""
    if module.partition(".")[0] != PACKAGE:
        return set()
    return {name for name in (module, *_packages_of(module)) if _path(name) is not None}


def _packages_of(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _parent(module: str) -> str:
    return module.rpartition(".")[0]


@cache
def _path(module: str) -> Path | None:
    """Source file of a first-party module or package; None if there is none."""
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
