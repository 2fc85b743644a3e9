"""Editors are told what the loader takes."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pipeline.config import json_schema

CONFIG = Path(__file__).parents[3] / "config"
FILES = sorted([*CONFIG.glob("*.yaml"), *CONFIG.glob("*/*.yaml")])
SCHEMAS = json_schema.schemas()


def kind_of(file: Path) -> str:
    return json_schema.CONFIGURATION if file.parent == CONFIG else file.parent.name


def errors(kind: str, content: Any) -> list[str]:
    found = jsonschema.Draft202012Validator(SCHEMAS[kind]).iter_errors(content)
    return [error.message for error in found]


def test_the_files_are_current(tmp_path: Path) -> None:
    json_schema.write(tmp_path)
    for written in tmp_path.iterdir():
        there = CONFIG / "schema" / written.name
        assert there.read_text() == written.read_text(), (
            f"{there}: run python -m pipeline.config.json_schema config/schema"
        )
    assert len(list(tmp_path.iterdir())) == len(list((CONFIG / "schema").iterdir()))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CONFIG)))
def test_every_file_names_its_schema_and_fits_it(file: Path) -> None:
    up = "" if file.parent == CONFIG else "../"
    header = f"# yaml-language-server: $schema={up}schema/{kind_of(file)}.json"
    assert file.read_text().splitlines()[0] == header
    assert errors(kind_of(file), yaml.safe_load(file.read_text())) == []


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("configuration", {"settings": [{"trainig": {}}]}, "trainig"),
        ("configuration", {"settings": [{"where": {"metod": "cql"}}]}, "metod"),
        ("configuration", {"settings": [{"policy": {"widht": 8}}]}, "widht"),
        ("configuration", {"settings": [{"training": {"steps": -1}}]}, "less than the minimum"),
        ("configuration", {"tables": {"t": {"datasets": "pong"}}}, "not of type 'array'"),
        ("variants", {"policy": {"memory_length": "3K"}}, "3K"),
        ("datasets", {"source": "recorded"}, "'environment' is a required property"),
    ],
)
def test_what_the_loader_refuses_is_marked(kind: str, content: Any, said: str) -> None:
    assert any(said in message for message in errors(kind, content))
