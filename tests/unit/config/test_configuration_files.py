"""Files of a configuration: which one is at fault, and which cannot be read."""

from pathlib import Path

import pytest
from configurations import CONFIG, copied, edit, message

from pipeline.config import plugins
from pipeline.config.load import load
from pipeline.errors import PipelineError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


def test_mistakes_of_the_command_line_and_of_further_files(folder: Path) -> None:
    toy, further = folder / "toy.yaml", edit(folder / "mine.yaml", settings=[{}, {"trainin": {}}])
    with pytest.raises(PipelineError, match=r"^config/mine.yaml: settings\[1\]: .*'training'"):
        load(toy, further=[further])
    with pytest.raises(PipelineError, match=r"^--config: settings\[0\]: training.step: .*'steps'"):
        load(toy, {"settings": [{"training": {"step": 3}}]})
    with pytest.raises(PipelineError, match=r"^--config: settings: expected a list, found dict"):
        load(toy, {"settings": {"training": {"steps": 3}}})
    with pytest.raises(PipelineError, match=r"^--config: settings\[0\]: policy.3: unknown key"):
        load(toy, {"settings": [{"policy": {3: 3}}]})


def test_the_file_is_blamed_that_says_it(folder: Path) -> None:
    toy, mine = folder / "toy.yaml", folder / "mine.yaml"
    for changes, expected in (
        (
            {"tables": {"tabel1": {"seeds": [3]}}},
            "tables.tabel1: unknown table 'tabel1' .*'table1'",
        ),
        ({"tables": {"table1": {"datasets": ["x"]}}}, "tables.table1: unknown dataset 'x'"),
        ({"tables": {"table1": {"seeds": [-1]}}}, "tables.table1.seeds.0: Input should be greater"),
        ({"tables": {"table1": 3}}, "tables.table1: Input should be"),
        ({"hardware": {"shards": 0}}, "hardware.shards: Input should be greater"),
        ({"sclae": "x"}, "unknown key 'sclae'"),
    ):
        mine.unlink(missing_ok=True)
        edit(mine, **changes)
        with pytest.raises(PipelineError, match=f"^config/mine.yaml: {expected}"):
            load(toy, further=[mine])
        with pytest.raises(PipelineError, match=f"^--config: {expected}"):
            load(toy, changes)


def test_a_link_to_a_configuration(folder: Path, tmp_path: Path) -> None:
    """What lies beside the file that it leads to is read; a link beside them is as good."""
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    link = outside / "mine.yaml"
    link.symlink_to(folder / "toy.yaml")
    assert load(link).tables == load(folder / "toy.yaml").tables
    (outside / "other.yaml").write_text((folder / "toy.yaml").read_text())
    (folder / "inside.yaml").symlink_to(outside / "other.yaml")
    assert load(folder / "inside.yaml").tables == load(link).tables
    with pytest.raises(
        PipelineError, match=r"other\.yaml: environments, .* are not beside it; put"
    ):
        load(outside / "other.yaml")


def test_files_that_cannot_be_read(folder: Path) -> None:
    assert "config/nowhere.yaml: no such configuration file" in message(folder / "nowhere.yaml")
    (folder / "variants" / "broken.yaml").write_text("policy: {memory_length: 0\n")
    assert "config/variants/broken.yaml: not valid YAML" in message(folder / "config.yaml")
    (folder / "variants" / "broken.yaml").write_text("- policy\n")
    assert "expected keys and values, found list" in message(folder / "config.yaml")
    (folder / "variants" / "broken.yaml").write_text("policy: &a {memory_length: *a}\n")
    assert "config/variants/broken.yaml: not valid YAML: the alias 'a'" in message(
        folder / "toy.yaml"
    )
    (folder / "variants" / "broken.yaml").unlink()
    (folder / "datasets" / "zz.yaml").mkdir()
    assert message(folder / "toy.yaml").startswith("config/datasets/zz.yaml: is a folder")


def test_the_tables_of_all_methods_are_laid_over_the_default() -> None:
    config = load(CONFIG / "config.yaml", further=[CONFIG / "all_methods.yaml"])
    assert {"table1", "table1_all", "table2_all"} <= config.tables.keys()
    tables = ("table1_all", "table2_all", "games", "games_pixels", "planners")
    rows = {method for name in tables for method, _ in config.tables[name].rows}
    assert rows == set(plugins.names("methods"))
