"""The documentation that comes with the Python which runs this: reference topics and docstrings.

Every machine that runs the pipeline has this English text, under the PSF licence, which allows it
to be used and copied; so the default needs no download and the repository ships no text.
"""

import ast
import platform
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from pydoc_data import topics

from pipeline.config.schema import LanguageModelConfig
from pipeline.config.source_code import statements
from pipeline.language.texts import Text

NOT_PROSE = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
"""Folders whose docstrings are examples or not part of Python."""


def read(config: LanguageModelConfig) -> Text:
    """Topics of the language reference, then the docstrings of the standard library by path."""
    parts = [*(text for _, text in sorted(topics.topics.items())), *_docstrings()]
    version = platform.python_version()
    return Text("\n\n".join(parts), f"documentation of Python {version} (PSF licence)")


def _docstrings() -> Iterator[str]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        if NOT_PROSE.isdisjoint(path.relative_to(root).parts):
            yield from _docstrings_of(path)


def _docstrings_of(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):  # templates and examples of broken code
        return
    for node in statements(tree):  # docstrings are in no expression
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text
