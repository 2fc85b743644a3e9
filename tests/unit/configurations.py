"""A copy of the shipped configuration to edit, and the line that a mistake in it gives."""

import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.config.load import load
from pipeline.config.section import merge
from pipeline.errors import PipelineError

CONFIG = Path(__file__).parents[2] / "config"


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(CONFIG, folder / "config"))


def edit(path: Path, **changes: object) -> Path:
    content = yaml.safe_load(path.read_text()) if path.exists() else {}
    path.write_text(yaml.safe_dump(merge(content, changes)))
    return path


def lay(path: Path, *entries: dict[str, object]) -> Path:
    """Add entries at the end of a file's list of settings."""
    before = yaml.safe_load(path.read_text())["settings"]
    return edit(path, settings=[*before, *entries])


def one_table(path: Path, **table: object) -> Path:
    """Put one table, `t`, in place of a file's tables."""
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, "tables": {"t": table}}))
    return path


def message(path: Path) -> str:
    with pytest.raises(PipelineError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)
