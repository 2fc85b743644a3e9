"""Minari data sets that name code to run, or that describe themselves wrongly."""

import json
from pathlib import Path
from typing import Any

import minari
import pytest
import robots
from minari_sets import (
    box,
    collect,
    game,
    specification,
    write,
)

from pipeline.config.schema import DatasetConfig
from pipeline.data.sources import minari as source
from pipeline.errors import PipelineError

HOPPER = robots.config()


def planted(marker: Path) -> dict[str, Any]:
    """Specifications that make a file, if anything makes an environment of them."""
    spec = {"id": "ALE/Breakout-v5", "additional_wrappers": [], "vector_entry_point": None}
    runs = {"entry_point": "os:system", "kwargs": {"command": f"touch {marker}"}}
    inside = specification(additional_wrappers=[{"name": "W", **runs}])
    makes = {"entry_point": "pathlib:Path.touch", "kwargs": {"self": str(marker)}}
    return {
        "text": json.dumps({**spec, **runs}),
        "object": {**spec, **runs},
        "path": json.dumps({**spec, **makes}),
        "wrapper": json.dumps(inside),
        "unknown id": json.dumps({**spec, **runs, "id": "os:system-v0"}),
    }


SHAPES: list[dict[str, Any]] = [
    {"observation_space": None},
    {"action_space": None},
    {"observation_space": None, "action_space": None},
    {},
]


@pytest.mark.parametrize("changes", SHAPES, ids=str)
@pytest.mark.parametrize("how", planted(Path()))
@pytest.mark.parametrize("key", ["env_spec", "eval_env_spec"])
def test_no_entry_point_is_run(tmp_path: Path, changes: dict[str, Any], how: str, key: str) -> None:
    marker = tmp_path / "marker"
    folder = write(tmp_path / "set", **{key: planted(marker)[how], **changes})
    harmless = key == "eval_env_spec" and not changes  # it is not looked at
    for environment in (game(), HOPPER):
        if harmless and environment is not HOPPER:
            collect(folder, environment)
        else:
            with pytest.raises(PipelineError) as caught:
                collect(folder, environment)
            assert "\n" not in str(caught.value)
        assert not marker.exists()


def test_nor_after_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "marker"

    def client(name: str) -> None:
        spec = planted(marker)["text"]
        write(tmp_path / ".data.partial" / name, env_spec=spec, observation_space=None)

    monkeypatch.setenv("MINARI_DATASETS_PATH", "")  # put back after the test
    monkeypatch.setattr(minari, "download_dataset", client)
    monkeypatch.setattr(source, "replacing_folder", Partial)
    config = DatasetConfig(environment="any", source="minari", name="games/x-v0")
    with pytest.raises(PipelineError, match="has no observation_space, and no environment is made"):
        source.download(config, tmp_path / "data")
    assert not marker.exists()


class Partial:
    """The folder that a download is written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.parent / f".{folder.name}.partial"

    def __enter__(self) -> Path:
        return self.folder

    def __exit__(self, *error: object) -> None:
        return None


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"observation_space": None}, "metadata.json has no observation_space"),
        ({"action_space": None}, "metadata.json has no action_space"),
        ({"observation_space": "{"}, "not a Minari data set"),
        ({"observation_space": [1]}, "expected a JSON object"),
        ({"observation_space": '{"type": "Dict"}'}, "observations are 'Dict'; only"),
        ({"action_space": '{"type": "MultiDiscrete"}'}, "actions are 'MultiDiscrete'; only"),
        ({"action_space": '{"type": "Discrete", "n": true}'}, "n is True, expected a whole number"),
        ({"action_space": '{"type": "Discrete", "n": 1e400}'}, "n is inf, expected"),
        ({"action_space": '{"type": "Discrete", "n": -3}'}, "n is -3, expected 0 or more"),
        ({"total_steps": "9"}, "total_steps is '9', expected a whole number"),
        ({"dataset_id": 7}, "dataset_id is 7, expected text"),
        ({"observation_space": box((2, 2), 0, 255, "object")}, "dtype 'object'; only"),
        (
            {"observation_space": '{"type": "Box", "shape": [99999, 99999, 3], "dtype": "uint8"}'},
            "allowed: sides of 1 to 4096",
        ),
        (
            {"observation_space": box((2, 2), 0, 255, "uint8").replace("[2, 2]", "[2, 3]")},
            r"low is \(2, 2\), its shape is \(2, 3\)",
        ),
        ({"env_spec": "[]"}, "env_spec is .*expected a JSON object"),
        ({"env_spec": '{"id": 3}'}, "game 3, the environment says breakout"),
        ({"env_spec": '{"id": "a b"}'}, "has the id 'a b'"),
    ],
)
def test_descriptions(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    folder = write(tmp_path / "set", **changes)
    with pytest.raises(PipelineError, match=cause) as caught:
        collect(folder, game())
    assert "\n" not in str(caught.value)


def test_a_description_without_end(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    (folder / "data/metadata.json").write_text("[" * 200_000)
    with pytest.raises(PipelineError, match="not a Minari data set"):
        collect(folder, game())
