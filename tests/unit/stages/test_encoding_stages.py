"""The stages from frames to cache as commands: their files, one line for an error, nothing half
written.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import words
from policies import method_config

from pipeline.config.schema import (
    DatasetConfig,
    DetectorConfig,
    EncoderConfig,
    EnvironmentConfig,
    FeaturesConfig,
    OpenLoopConfig,
)
from pipeline.data import trajectories
from pipeline.data.frames import render
from pipeline.features import prompts
from pipeline.features.encoders import lxmert
from pipeline.io.artefact import Artefact
from pipeline.stages import execute
from pipeline.stages._signature import Stage
from pipeline.stages.build_cache import build_cache
from pipeline.stages.compare_predictions import compare_predictions
from pipeline.stages.detect_regions import detect_regions
from pipeline.stages.draw_regions import draw_regions
from pipeline.stages.predict_states import predict_states
from pipeline.stages.pretrain_encoder import pretrain_encoder
from pipeline.stages.probe_embeddings import probe_embeddings
from pipeline.training import checkpoint, preparation

RESOURCES = Path(__file__).parents[3] / "resources"
CATCH = EnvironmentConfig(
    family="catch",
    game="Catch",
    random_score=-2,
    reference_score=6,
    state_variables={"ball_x": 0, "paddle_x": 2},
)
PLAYED = DatasetConfig(environment="catch", source="scripted", episodes=2, max_episode_steps=9)
FEATURES = FeaturesConfig(
    detector=DetectorConfig(regions=4, feature_size=8),
    encoder=EncoderConfig(
        width=16,
        heads=2,
        language_layers=1,
        relationship_layers=1,
        cross_layers=1,
        pretraining_steps=2,
        pretraining_batch=8,
    ),
)
UNTRAINED = FEATURES.model_copy(
    update={"encoder": FEATURES.encoder.model_copy(update={"pretraining_steps": 0})}
)
Run = Callable[..., None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trajectories, frames and prompts of two short games."""
    folder = tmp_path_factory.mktemp("stage one")
    played = trajectories.collect(PLAYED, CATCH, RESOURCES)
    trajectories.save(folder / "trajectories.h5", played, CATCH, PLAYED)
    render(played, CATCH, folder / "frames.h5")
    text = prompts.as_json(RESOURCES, "Catch", "original", ("NOOP", "RIGHT", "LEFT"))
    (folder / "prompts.json").write_text(text)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Run:
    """Run a stage with the files made so far; `changed` replaces options by name."""

    def run(stage: Stage, options: tuple[str, ...], **changed: object) -> None:
        values: dict[str, object] = {
            "features": FEATURES.as_json(),
            "environment": CATCH.as_json(),
            "detector": FEATURES.detector.as_json(),
            "trajectories": made / "trajectories.h5",
            "frames": made / "frames.h5",
            "prompts": made / "prompts.json",
            "regions": tmp_path / "regions.h5",
            "encoder": tmp_path / "encoder",
            "curve": tmp_path / "curve.csv",
            **changed,
        }
        execute(stage, words(**{name: values[name] for name in options}))

    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


DETECT = ("detector", "frames", "regions")
DRAW = ("frames", "regions", "picture")
INPUTS = ("features", "environment", "trajectories", "frames", "prompts", "regions")
PRETRAIN = (*INPUTS, "encoder", "curve")
BUILD = (*INPUTS, "encoder", "cache")
PROBE = (*(name for name in INPUTS if name != "trajectories"), "encoder", "probe")


@pytest.mark.parametrize("features", [FEATURES, UNTRAINED], ids=["pretrained", "random"])
def test_from_frames_to_cache(run: Run, tmp_path: Path, features: FeaturesConfig) -> None:
    settings = features.as_json()
    run(detect_regions, DETECT, regions=tmp_path / "regions.h5")
    run(draw_regions, DRAW, picture=tmp_path / "regions.png")
    run(pretrain_encoder, PRETRAIN, features=settings, encoder=tmp_path / "encoder")
    run(build_cache, BUILD, features=settings, cache=tmp_path / "cache.h5")
    run(probe_embeddings, PROBE, features=settings, probe=tmp_path / "probe.csv")

    assert (tmp_path / "regions.png").stat().st_size > 1000
    steps = features.encoder.pretraining_steps
    curve = list(csv.reader((tmp_path / "curve.csv").open()))
    assert curve[0] == ["step", "words", "match", "features", "boxes"]
    assert [row[0] for row in curve[1:]] == ([str(steps)] if steps else [])
    stored = Artefact(tmp_path / "cache.h5", "cache")
    assert stored.shape("step_pair") == (18,)
    assert stored.attributes["weights"] == features.weights
    assert stored.attributes["features"] == json.loads(settings)
    probed = list(csv.DictReader((tmp_path / "probe.csv").open()))
    assert [row["variable"] for row in probed] == ["ball_x", "paddle_x"]
    if not steps:
        assert all(row["initial_r2"] == row["pretrained_r2"] for row in probed)
    made = {"regions.h5", "regions.png", "encoder", "curve.csv", "cache.h5", "probe.csv"}
    assert names(tmp_path) == made | {f"{name}.provenance.json" for name in made}


def test_text_without_image(run: Run, tmp_path: Path) -> None:
    detector = FEATURES.detector.model_copy(update={"name": "no_regions"})
    blind = FEATURES.model_copy(update={"detector": detector}).as_json()
    run(detect_regions, DETECT, detector=detector.as_json(), regions=tmp_path / "regions.h5")
    run(pretrain_encoder, PRETRAIN, features=blind, encoder=tmp_path / "encoder")
    run(build_cache, BUILD, features=blind, cache=tmp_path / "cache.h5")
    stored = Artefact(tmp_path / "cache.h5", "cache")
    text = stored.attributes["text_tokens"]
    assert not stored.read("mask")[:, text:].any()
    # What the frame shows makes no difference: one embedding per prompt.
    tokens, prompt = stored.read("tokens"), stored.read("pair_prompt")
    assert len(np.unique(tokens.reshape(len(tokens), -1), axis=0)) == len(np.unique(prompt)) > 1


def test_nothing_to_probe_is_a_header(run: Run, tmp_path: Path) -> None:
    bare = CATCH.model_copy(update={"state_variables": {}}).as_json()
    run(detect_regions, DETECT, regions=tmp_path / "regions.h5")
    run(pretrain_encoder, PRETRAIN, features=UNTRAINED.as_json(), encoder=tmp_path / "encoder")
    run(probe_embeddings, PROBE, environment=bare, probe=tmp_path / "probe.csv")
    assert (tmp_path / "probe.csv").read_text() == "variable,initial_r2,pretrained_r2\n"


def error_of(
    capsys: pytest.CaptureFixture[str], run: Run, *arguments: object, **changed: object
) -> str:
    """The error that a stage ends with: the only line but for progress bars."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        run(*arguments, **changed)
    assert caught.value.code == 1
    (line,) = [part for part in capsys.readouterr().err.splitlines() if "error" in part]
    return line[line.index("error: ") :]


def test_errors_are_one_line(
    run: Run, tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(detect_regions, DETECT, regions=tmp_path / "regions.h5")
    output = tmp_path / "out"
    wrong_kind = {"frames": made / "trajectories.h5"}
    for stage, options in ((detect_regions, DETECT), (draw_regions, DRAW), (build_cache, BUILD)):
        line = error_of(capsys, run, stage, options, **wrong_kind, **{options[-1]: output})
        assert "trajectories.h5: holds trajectories, expected frames" in line
    line = error_of(capsys, run, build_cache, BUILD, cache=output)
    assert "encoder/config.json: missing; run pretrain_encoder again" in line
    line = error_of(
        capsys, run, pretrain_encoder, PRETRAIN, prompts=made / "frames.h5", encoder=output
    )
    assert "frames.h5: not a prompt file" in line

    other = FEATURES.model_copy(
        update={"encoder": FEATURES.encoder.model_copy(update={"width": 32})}
    ).as_json()
    wide = DetectorConfig(regions=4, feature_size=16).as_json()
    run(pretrain_encoder, PRETRAIN, encoder=tmp_path / "encoder")
    line = error_of(capsys, run, build_cache, BUILD, features=other, cache=output)
    assert "hidden_size is 16, the configuration asks for 32" in line
    run(detect_regions, DETECT, detector=wide, regions=tmp_path / "wide.h5")
    line = error_of(capsys, run, build_cache, BUILD, regions=tmp_path / "wide.h5", cache=output)
    assert "regions have 16 features each, the encoder takes 8" in line
    assert not (tmp_path / "out").exists()


def test_a_failed_pretraining_leaves_what_was_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(detect_regions, DETECT, regions=tmp_path / "regions.h5")
    run(pretrain_encoder, PRETRAIN, encoder=tmp_path / "encoder")
    before = {path.name: path.read_bytes() for path in (tmp_path / "encoder").iterdir()}

    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(lxmert, "pretrain", fail)
    for name in ("encoder", "second"):
        with pytest.raises(RuntimeError, match="a fault"):
            run(pretrain_encoder, PRETRAIN, encoder=tmp_path / name, curve=tmp_path / f"{name}.csv")
    after = {path.name: path.read_bytes() for path in (tmp_path / "encoder").iterdir()}
    assert after == before
    made = {"regions.h5", "encoder", "curve.csv"}
    assert names(tmp_path) == made | {f"{name}.provenance.json" for name in made}


def test_only_our_own_progress_is_shown(
    run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(detect_regions, DETECT, regions=tmp_path / "regions.h5")
    capfd.readouterr()
    run(pretrain_encoder, PRETRAIN, encoder=tmp_path / "encoder")
    out, shown = capfd.readouterr()
    assert not out
    assert all(part.startswith("pretrain LXMERT") for part in shown.split("\r") if part.strip())


def test_same_seed_same_bytes(run: Run, tmp_path: Path) -> None:
    run(detect_regions, DETECT, regions=tmp_path / "regions.h5")
    content = []
    for name in ("one", "two"):
        run(pretrain_encoder, PRETRAIN, encoder=tmp_path / name)
        run(build_cache, BUILD, encoder=tmp_path / name, cache=tmp_path / f"{name}.h5")
        folder = sorted((tmp_path / name).iterdir())
        content.append([path.read_bytes() for path in (*folder, tmp_path / f"{name}.h5")])
    assert content[0] == content[1]
    assert np.array(Artefact(tmp_path / "one.h5", "cache").read("mask")).any()


def test_what_a_policy_imagines_is_compared_with_the_cache(
    run: Run, made: Path, tmp_path: Path
) -> None:
    settings = UNTRAINED.as_json()
    run(detect_regions, DETECT, regions=tmp_path / "regions.h5")
    run(pretrain_encoder, PRETRAIN, features=settings, encoder=tmp_path / "encoder")
    run(build_cache, BUILD, features=settings, cache=tmp_path / "cache.h5")
    training = {"held_out_fraction": 0.5}
    method = method_config("more3s", training, world_model={"trained": True})
    stored = [CATCH], [made / "trajectories.h5"], [tmp_path / "cache.h5"]
    learner, _, described = preparation.prepare(method, preparation.recordings(*stored), 3)
    checkpoint.save(tmp_path / "policy", learner, described)
    told = {"method": method.as_json(), "seed": 3, "policy": tmp_path / "policy"}
    told |= {"trajectories": stored[1][0], "observations": stored[2][0]}
    config, errors = OpenLoopConfig(steps=4, starts=3).as_json(), tmp_path / "errors.csv"
    execute(predict_states, words(**told, open_loop_config=config, errors=errors))
    runs = json.dumps([{"dataset": "d", "method": "more3s", "variant": "planned", "seed": 3}])
    compared = {"csv": tmp_path / "accuracy.csv", "picture": tmp_path / "accuracy.png"}
    execute(compare_predictions, words(runs=runs, errors=errors, **compared))
    rows = list(csv.DictReader(compared["csv"].open()))
    assert [row["model"] for row in rows[::4]] == ["own", "head", "last", "mean"]
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"] * 4
    assert {row["starts"] for row in rows} == {"3"}
    assert all(0 < float(row["mean"]) < 10 for row in rows)
    assert compared["picture"].stat().st_size > 1000
