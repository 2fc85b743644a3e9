"""One line for what Snakemake would say in many, or late."""

from pathlib import Path

import pytest

from pipeline.config import driver
from pipeline.errors import PipelineError

RULES = {"all": False, "demo": False, "train_policy": True}
EXAMPLES = ["results/table1.csv", "results/runs/pong/more3s/default/seed-0/episodes.csv"]


def refused(*targets: str) -> str:
    with pytest.raises(PipelineError) as caught:
        driver.check_targets(targets, RULES, ["results/table1.csv"], EXAMPLES)
    return str(caught.value)


def test_targets() -> None:
    driver.check_targets(["demo", "results/table1.csv"], RULES, ["results/table1.csv"], EXAMPLES)
    driver.check_targets([], RULES, [], EXAMPLES)
    assert "results/tabel1.csv: no rule makes it (did you mean results/table1.csv?)" in refused(
        "results/tabel1.csv"
    )
    assert "did you mean demo?" in refused("dmo")
    assert "snakemake --list names all rules" in refused("---")
    assert (
        "train_policy is a rule for many files; name one of them, or a rule for all: all, demo"
        in (refused("demo", "train_policy"))
    )


def test_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, there = "config/config.yaml", Path("/there")
    with pytest.raises(PipelineError, match=rf"not in {tmp_path}, .*add --directory /there, or"):
        driver.place_of(name, there, moved=False)
    assert driver.place_of(name, there, moved=True) == Path("/there/config/config.yaml")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").touch()
    for moved in (False, True):
        assert driver.place_of(name, there, moved) == Path(name)


def test_a_target_among_the_configurations() -> None:
    driver.check_configurations([Path("config/toy.yaml"), Path("results.yaml")], Path("results"))
    with pytest.raises(PipelineError, match=r"original.json: is a result, .*targets come first"):
        driver.check_configurations([Path("results/original.json").absolute()], Path("results"))


def test_missing_recordings(tmp_path: Path) -> None:
    (tmp_path / "a.npz").touch()
    told = "data set 'pong'", "'file' in config/datasets/pong.yaml"
    assert driver.given_file(tmp_path / "a.npz", *told) == str(tmp_path / "a.npz")
    with pytest.raises(
        PipelineError, match=r"b\.npz: missing, and data set 'pong' .*config/datasets/pong\.yaml"
    ):
        driver.given_file(tmp_path / "b.npz", *told)


def test_images(tmp_path: Path) -> None:
    driver.check_image("docker://registry/more3s:0.1.0")
    (tmp_path / "more3s.sif").touch()
    driver.check_image(str(tmp_path / "more3s.sif"))
    with pytest.raises(PipelineError, match=r"other\.sif: no such image; make it \(docs/cluster"):
        driver.check_image(str(tmp_path / "other.sif"))


def test_locks(tmp_path: Path) -> None:
    assert driver.lock_note(tmp_path / "none") is None
    assert driver.lock_note(tmp_path) is None
    (tmp_path / "0.input.lock").touch()
    note = driver.lock_note(tmp_path)
    assert note is not None
    assert "or one was killed; if none runs: the same command with --unlock" in note


def test_what_a_module_is_given(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/toy.yaml").touch()
    told = driver.given_to_module({"configfile": "config/toy.yaml", "tables": {}}, tmp_path)
    assert told.base == tmp_path / "config/toy.yaml"
    assert (told.values, told.resources) == ({"tables": {}}, tmp_path / "resources")
    for config in ({}, {"configfile": 3}, {"configfile": "config"}):
        with pytest.raises(PipelineError, match=r"module: configfile: .* is no file in .*; name"):
            driver.given_to_module(config, tmp_path)
    with pytest.raises(PipelineError, match="needs the whole project on this machine; clone it"):
        driver.given_to_module({}, tmp_path / "github")
