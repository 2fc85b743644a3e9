"""Stages that look at planners: from a policy's checkpoint to a table and a picture."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import robots
import torch
from command_line import words
from policies import method_config

from pipeline.config.schema import (
    DatasetConfig,
    EnvironmentConfig,
    FeaturesConfig,
    OpenLoopConfig,
    TimingConfig,
)
from pipeline.data import trajectories
from pipeline.methods import Spec, make
from pipeline.stages import execute
from pipeline.stages.compare_planning_costs import compare_planning_costs
from pipeline.stages.compare_predictions import compare_predictions
from pipeline.stages.evaluate_policy import evaluate_policy
from pipeline.stages.predict_states import predict_states
from pipeline.stages.time_decisions import time_decisions
from pipeline.training import checkpoint

PUBLISHED = robots.RESOURCES / "published_costs.csv"
POLICY: dict[str, Any] = {"width": 8, "members": 2, "planner": {"horizon": 1, "trajectories": 2}}


@pytest.fixture(scope="module")
def acting(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a stage is told to play a small MBOP that has learned nothing."""
    folder = tmp_path_factory.mktemp("run")
    environment, dataset = robots.config(), robots.dataset(max_episode_steps=30)
    _record(folder, environment, dataset)
    method = method_config("mbop", **POLICY)
    evaluation = method.evaluation.model_copy(update={"episodes": 1, "first_seed": 20_000})
    method = method.model_copy(update={"evaluation": evaluation})
    game = robots.robot(environment)
    spec = Spec(("Hopper",), (game.actions,), {"state": (11,)}, {})
    torch.manual_seed(0)
    described = checkpoint.describe(method, 0, 100.0, spec)
    checkpoint.save(folder / "policy", make(method, spec), described)
    return {
        "policy": folder / "policy",
        "trajectories": folder / "t.h5",
        "method": method.as_json(),
        "features": FeaturesConfig().as_json(),
        "environment": environment.as_json(),
        "dataset": dataset.as_json(),
        "seed": "0",
    }


def _record(folder: Path, environment: EnvironmentConfig, dataset: DatasetConfig) -> None:
    np.savez(folder / "hopper.npz", **robots.recording())
    data = trajectories.collect(dataset, environment, folder)
    trajectories.save(folder / "t.h5", data, environment, dataset)


def test_decisions_are_timed_and_compared(acting: dict[str, Any], tmp_path: Path) -> None:
    timing = TimingConfig(decisions=1, episodes=2, horizons=[2])
    decisions, episodes, run = (tmp_path / name for name in ("d.csv", "e.csv", "run.json"))
    execute(time_decisions, words(**acting, timing=timing.as_json(), decisions=decisions))
    timed = pd.read_csv(decisions)
    assert timed["horizon"].tolist() == [1, 1, 2, 2]
    assert timed["host"].notna().all()
    execute(evaluate_policy, words(**acting, episodes=episodes, run=run))
    runs = json.dumps([{"dataset": "d", "method": "mbop", "variant": "default", "seed": 0}])
    made = {name: tmp_path / f"cost.{name}" for name in ("csv", "markdown", "picture")}
    inputs = {"decisions": decisions, "episodes": episodes, "run": run, "published": PUBLISHED}
    execute(compare_planning_costs, words(timed=runs, runs=runs, **inputs, **made))
    rows = pd.read_csv(made["csv"])
    assert rows["score"].iloc[0] == pytest.approx(pd.read_csv(episodes)["return"].mean(), abs=1e-3)
    assert "| MBOP | d | 1 |" in made["markdown"].read_text()
    assert made["picture"].stat().st_size > 1000


def test_states_are_predicted_and_compared(acting: dict[str, Any], tmp_path: Path) -> None:
    config = OpenLoopConfig(steps=5, starts=4, updates=3, batch_size=8)
    told = {name: acting[name] for name in ("method", "seed", "policy", "trajectories")}
    files = [tmp_path / f"{name}.csv" for name in ("first", "again")]
    for path in files:
        execute(predict_states, words(**told, open_loop_config=config.as_json(), errors=path))
    assert files[0].read_bytes() == files[1].read_bytes()
    runs = json.dumps([{"dataset": "d", "method": "mbop", "variant": "default", "seed": 0}])
    made = {"csv": tmp_path / "accuracy.csv", "picture": tmp_path / "accuracy.png"}
    execute(compare_predictions, words(runs=runs, errors=files[0], **made))
    rows = pd.read_csv(made["csv"])
    assert rows.groupby("model")["step"].max().tolist() == [5, 5, 5]
    assert np.isfinite(rows[["mean", "median"]]).all(axis=None)
    own, markov = (set(rows.loc[rows["model"] == name, "parameters"]) for name in ("own", "markov"))
    assert abs(own.pop() - markov.pop()) < 60
    assert made["picture"].stat().st_size > 1000
    with pytest.raises(SystemExit):
        execute(compare_predictions, words(**made))
