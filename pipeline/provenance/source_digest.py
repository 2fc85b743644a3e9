"""Where an artefact comes from: the code, read without importing it, and the packages' versions.

`source_digest` makes Snakemake notice an edited module: every rule carries it as a parameter, so a
change of what the code does re-runs the rule, and one of comments, docstrings or layout does not.
"""

import ast
import hashlib
import importlib.metadata
import sys
from collections.abc import Iterable
from copy import copy
from functools import cache
from typing import TypeGuard, TypeVar

from pipeline.config.source_code import (
    HOLDING_STATEMENTS,
    PACKAGE,
    first_party_imports,
    tree,
    with_packages,
)

SETTINGS = tuple(
    f"{PACKAGE}.config.{module}"
    for module in ("schema", "data", "evaluation", "section", "table", "methods")
)
"""How the names of modules begin of which functions and constants count alone: settings reach a
stage as JSON that its rule carries as a parameter of its own, so a new key changes nothing.
"""
NO_INFLUENCE = tuple(
    f"{PACKAGE}.{room}" for room in ("errors", "config", "provenance", "hardware.host")
)
"""How the names of other modules begin that cannot change what a stage computes: they are left out
of every digest, imports included.

A better error message must not redo hours of work; plug-ins are named by the caller; records are
written when the result is there.
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
        if name not in found and _influences(name):
            found.add(name)
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

    Without those that change nothing, and without the one that runs as `__main__`.
    """
    return {name for name in list(sys.modules) if with_packages(name) and _influences(name)}


def versions(*packages: str) -> dict[str, str]:
    """Version of each of the distributions that is installed, without importing it."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _influences(module: str) -> bool:
    """Whether a module can change what a stage computes; see NO_INFLUENCE."""
    return module.startswith(SETTINGS) or not _within(module, NO_INFLUENCE)


def _within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


@cache
def _own_digest(module: str) -> str:
    """Digest of one module's syntax tree without docstrings and positions."""
    code = tree(module)
    if module.startswith(SETTINGS):
        code = ast.Module([node for node in ast.walk(code) if _is_behaviour(node)], [])
    return hashlib.sha256(ast.dump(_without_texts(code)).encode()).hexdigest()


Node = TypeVar("Node", bound=ast.AST)


def _without_texts(node: Node) -> Node:
    """A copy without bare strings, of statements only: the tree is kept for others, and a copy of
    every expression takes each job and each plan longer than all the rest of a digest.
    """
    own = copy(node)
    for field in HOLDING_STATEMENTS:
        held = getattr(own, field, None)
        if isinstance(held, list):
            kept = [item for item in held if field != "body" or not _is_text(item)]
            setattr(own, field, [_without_texts(item) for item in kept])
    return own


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a bare string: a docstring, or one below an attribute."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_behaviour(node: ast.AST) -> TypeGuard[ast.stmt]:
    """Whether a part of the settings' schema is computed with: a function, unless it validates, a
    name for a constant, or what a class says that is no setting.
    """
    if isinstance(node, ast.FunctionDef):
        return not any("validator" in ast.unparse(each) for each in node.decorator_list)
    if isinstance(node, ast.AnnAssign):
        return "ClassVar" in ast.unparse(node.annotation)
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
