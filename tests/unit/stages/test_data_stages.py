"""The data stages as commands: what they print, their exit status, no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import minari
import numpy as np
import pytest
from command_line import words

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import export_minari, frames, trajectories
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact, ArtefactWriter
from pipeline.provenance import record
from pipeline.stages import execute
from pipeline.stages._signature import Stage
from pipeline.stages.collect_trajectories import collect_trajectories
from pipeline.stages.download_dataset import download_dataset
from pipeline.stages.render_frames import render_frames
from pipeline.stages.shrink_frames import shrink_frames
from pipeline.stages.write_prompts import write_prompts

ROOT = Path(__file__).parents[3]
CATCH = EnvironmentConfig(family="catch", game="Catch", random_score=-2, reference_score=6)
PLAYED = DatasetConfig(environment="catch", source="scripted", episodes=2, max_episode_steps=9)


def verify(path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pipeline.stages.verify_cache", path]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with ArtefactWriter(tmp_path / "cache.h5", "cache", {}) as writer:
        writer.write("tokens", np.random.default_rng(0).integers(0, 99, (900, 56, 32)))
    return tmp_path / "cache.h5"


def test_whole_file(path: Path) -> None:
    result = verify(path)
    assert result.returncode == 0
    assert "whole; cache: tokens (900, 56, 32)" in result.stdout


def test_damaged_block(path: Path) -> None:
    with h5py.File(path) as file:
        place = file["arrays/tokens"].id.get_chunk_info(2)
        length = file["arrays/tokens"].chunks[0]
    content = bytearray(path.read_bytes())
    content[place.byte_offset + place.size // 2] ^= 1
    path.write_bytes(bytes(content))
    result = verify(path)
    assert result.returncode == 1
    assert f"damaged block: tokens rows {2 * length}-{3 * length - 1}" in result.stdout
    assert "1 damaged blocks" in result.stdout


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    result = verify(tmp_path / "none.h5")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_stages_from_play_to_pixels(tmp_path: Path) -> None:
    def run(stage: Stage, **options: object) -> None:
        execute(stage, words(**options))

    game, data = CATCH.as_json(), PLAYED.as_json()
    resources, made = ROOT / "resources", tmp_path
    run(
        collect_trajectories,
        dataset=data,
        environment=game,
        resources=resources,
        trajectories=made / "t.h5",
    )
    run(
        render_frames,
        environment=game,
        dataset=data,
        resources=resources,
        trajectories=made / "t.h5",
        frames=made / "f.h5",
    )
    run(shrink_frames, frames=made / "f.h5", pixels=made / "p.h5")
    run(
        write_prompts,
        environment=game,
        prompt_set="original",
        resources=resources,
        trajectories=made / "t.h5",
        prompts=made / "p.json",
    )
    assert Artefact(made / "p.h5", "pixels").shape("step_frame") == (18,)
    assert json.loads((made / "p.json").read_text())["action_prompt"] == [0, 1, 2]

    frames, sentences = record.read(made / "f.h5"), record.read(made / "p.json")
    assert (frames.stage, sentences.stage) == ("render_frames", "write_prompts")
    assert [(read.option, read.given) for read in frames.inputs] == [("trajectories", False)]
    assert frames.inputs[0].sha256 == record.read(made / "t.h5").output.sha256
    sections = {"environment": CATCH, "dataset": PLAYED}
    dumped = {name: section.model_dump(mode="json") for name, section in sections.items()}
    assert frames.settings == {"threads": 1, **dumped}
    assert record.read(made / "t.h5").inputs == []  # played here, from no recording
    steps, wording = sentences.inputs
    assert (steps.option, steps.given, wording.given) == ("trajectories", False, True)
    assert wording.path == str(resources / "prompts" / "catch.yaml")
    assert sentences.settings["prompt_set"] == "original"


def test_the_code_that_ran_has_late_plug_ins_and_no_more(tmp_path: Path) -> None:
    """In a process of its own, as a rule runs it."""
    command = [sys.executable, "-m", "pipeline.stages.collect_trajectories"]
    options = {"dataset": PLAYED.as_json(), "environment": CATCH.as_json()}
    paths = {"resources": "resources", "trajectories": str(tmp_path / "t.h5")}
    subprocess.run([*command, *words(**options | paths)], cwd=ROOT, check=True, capture_output=True)
    modules = set(record.read(tmp_path / "t.h5").code.modules)
    assert {"pipeline.stages.collect_trajectories", "pipeline.data.sources.scripted"} <= modules
    assert "pipeline.environments.catch" in modules
    assert not modules & {
        "pipeline.environments.atari",
        "pipeline.training.loop",
        "pipeline.config.plugins",
    }


def test_a_failed_stage_records_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.stages.render_frames", "--trajectories", "none.h5"]
    output = tmp_path / "f.h5"
    options = {"environment": CATCH.as_json(), "dataset": PLAYED.as_json()}
    told = words(**options, resources="resources", frames=output)
    done = subprocess.run([*command, *told], cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_is_downloaded_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Minari's client puts it below MINARI_DATASETS_PATH; what it would fetch is exported here."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", "")  # put back after the test
    played = tmp_path / "t.h5"
    data = trajectories.collect(PLAYED, CATCH, Path())
    frames.render(data, CATCH, tmp_path / "f.h5")

    def client(name: str) -> None:
        place = Path(os.environ["MINARI_DATASETS_PATH"]) / name
        export_minari.export(data, CATCH, Artefact(tmp_path / "f.h5", "frames"), name, place)

    monkeypatch.setattr(minari, "download_dataset", client)
    wanted = DatasetConfig(environment="catch", source="minari", name="games/catch/played-v0")
    folder = tmp_path / "downloads"
    execute(download_dataset, words(dataset=wanted.as_json(), folder=folder))
    assert record.read(folder).stage == "download_dataset"

    sections = {"dataset": wanted.as_json(), "environment": CATCH.as_json()}
    execute(collect_trajectories, words(**sections, resources=folder, trajectories=played))
    np.testing.assert_array_equal(trajectories.load(played).actions, data.actions)
    (read,) = record.read(played).inputs
    assert read.path == str(folder / "games/catch/played-v0")


def test_what_has_no_name_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="source 'scripted' cannot be downloaded"):
        trajectories.download(PLAYED, tmp_path / "data")
