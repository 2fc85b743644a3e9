"""Stage two on state vectors, from recorded play to a sweep, where nothing can be rendered."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import words

from pipeline.config import load
from pipeline.config.schema import SweepConfig
from pipeline.environments import mujoco
from pipeline.errors import PipelineError
from pipeline.io.csv import read_csv
from pipeline.reporting.trainings import read_curve
from pipeline.stages import execute
from pipeline.stages._signature import Stage
from pipeline.stages.collect_trajectories import collect_trajectories
from pipeline.stages.evaluate_checkpoints import evaluate_checkpoints
from pipeline.stages.evaluate_policy import evaluate_policy
from pipeline.stages.evaluate_random import evaluate_random
from pipeline.stages.sweep_target_return import sweep_target_return
from pipeline.stages.train_policy import train_policy
from pipeline.training import checkpoint

ROOT = Path(__file__).parents[3]
SMALL = {"width": 16, "layers": 1, "context_length": 3, "time_embedding": "learned"}
TRAINING = {"steps": 4, "batch_size": 8, "evaluate_every": 2, "checkpoint_every": 2}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Of Decision Transformer on Hopper in the default configuration, made small."""
    config = load.load(ROOT / "config" / "config.yaml")
    method = config.method("decision_transformer", dataset="hopper_medium")
    assert method.policy.observation == "states"
    evaluation = method.evaluation.model_copy(update={"episodes": 2, "checkpoint_episodes": 1})
    parts = {
        "policy": method.policy.model_copy(update=SMALL),
        "training": method.training.model_copy(update=TRAINING),
        "evaluation": evaluation,
    }
    dataset = config.datasets["hopper_medium"].model_copy(
        update={"max_episodes": 2, "max_episode_steps": 60}
    )
    return {
        "method": method.model_copy(update=parts).as_json(),
        "evaluation": evaluation.as_json(),
        "environment": config.environment("hopper_medium").as_json(),
        "dataset": dataset.as_json(),
        "features": config.features[method.features].as_json(),
        "sweep": SweepConfig(targets=[0.5, 1.0], episodes=1).as_json(),
        "seed": "0",
    }


def only_checkpoints_before_the_last(last: Path) -> Callable[..., None]:
    save = checkpoint.save

    def refusing(path: Path, *content: Any) -> None:
        if path == last:
            raise PipelineError(f"{path}: no space left")
        save(path, *content)

    return refusing


def test_a_table_s_files_without_a_frame(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(self: object) -> None:
        raise AssertionError("a frame was asked for")

    monkeypatch.setattr(mujoco.MujocoEnvironment, "frame", draw)

    def run(stage: Stage, sections: str, **paths: object) -> None:
        execute(stage, words(**{name: settings[name] for name in sections.split()} | paths))

    made = {name: tmp_path / name for name in ("t.h5", "policy", "steps", "curve.csv", "run.json")}
    data, policy = made["t.h5"], made["policy"]
    acting = {"trajectories": data, "policy": policy}
    run(
        collect_trajectories,
        "dataset environment",
        resources=ROOT / "resources",
        trajectories=data,
    )
    training = {"observations": data, "trajectories": data, "policy": policy}
    training |= {"checkpoints": made["steps"], "curve": made["curve.csv"]}
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", only_checkpoints_before_the_last(policy))
        with pytest.raises(SystemExit):
            run(train_policy, "method environment seed", **training)
    assert not made["steps"].exists()
    run(train_policy, "method environment seed", **training)  # goes on from the failed one
    assert [path.name for path in made["steps"].iterdir()] == [checkpoint.name(2)]
    curve = read_curve(made["curve.csv"])
    assert curve["step"].tolist() == [2, 4]
    assert np.isfinite(curve[["held_out_mse", "mean_action_mse", "repeat_mse"]]).all(axis=None)
    everything = "method features environment dataset seed"
    episodes = tmp_path / "episodes.csv"
    run(evaluate_policy, everything, **acting, episodes=episodes, run=made["run.json"])
    described = json.loads(made["run.json"].read_text())
    assert described["settings"]["observation"] == "states"
    assert described["sampling"].startswith("predicted action")
    played = pd.read_csv(episodes)
    assert played["length"].between(1, 60).all()
    assert len(played) == 2
    run(
        evaluate_checkpoints,
        everything,
        trajectories=data,
        checkpoints=made["steps"],
        episodes=tmp_path / "earlier.csv",
    )
    assert pd.read_csv(tmp_path / "earlier.csv")["step"].tolist() == [2]
    run(sweep_target_return, f"{everything} sweep", **acting, episodes=tmp_path / "sweep.csv")
    sweep = read_csv(tmp_path / "sweep.csv", ["factor", "target_return"], "")
    assert sweep["factor"].tolist() == [0.5, 1.0]
    run(
        evaluate_random,
        "environment dataset evaluation seed",
        trajectories=data,
        episodes=tmp_path / "random.csv",
        run=made["run.json"],
    )
    assert pd.read_csv(tmp_path / "random.csv")["return"].between(-100, 100).all()
