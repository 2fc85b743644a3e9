"""A sweep is the evaluation at each target, and its figure shows means with intervals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from policies import method_config, policy_of, spec_of, trajectories_of

from pipeline.config.schema import EnvironmentConfig, EvaluationConfig, SweepConfig
from pipeline.errors import PipelineError
from pipeline.evaluation import run as runs
from pipeline.evaluation import target_return_sweep
from pipeline.observations.pixels import PixelObserver
from pipeline.reporting import statistics
from pipeline.reporting.figures import sweep_curves
from pipeline.reporting.scores import Run
from pipeline.training import checkpoint

CATCH = EnvironmentConfig.model_validate(
    {"family": "catch", "game": "catch", "frame_skip": 4, "max_noops": 20}
    | {"random_score": -5, "reference_score": 6}
)
METHOD = "decision_transformer"
SWEEP = SweepConfig(targets=[0.5, 3.0], episodes=2)


def test_each_target_is_played_as_an_evaluation_would() -> None:
    course = runs.EvaluationProtocol(
        CATCH, EvaluationConfig(episodes=7), trajectories_of([5, 9]), 30, seed=2
    )
    policy = policy_of(METHOD)
    described = checkpoint.describe(method_config(METHOD), 2, 6.0, spec_of(METHOD))
    actor = runs.LoadedPolicy(policy, described, PixelObserver())
    table = target_return_sweep.play(course, actor, SWEEP)
    assert tuple(table.columns) == target_return_sweep.COLUMNS
    best = float(course.data.score.max())
    assert table["factor"].tolist() == [0.5, 0.5, 3.0, 3.0]
    assert table["episode"].tolist() == [0, 1, 0, 1]
    for factor, rows in table.groupby("factor"):
        evaluation = EvaluationConfig(episodes=2, target_return=factor * best)
        alone = replace(course, evaluation=evaluation)
        played, run = runs.play_policy(alone, runs.LoadedPolicy(policy, described, PixelObserver()))
        assert set(rows["target_return"]) == {run["target_return"]}
        assert rows["reset_seed"].tolist() == [12_000, 12_001]
        for name, values in (
            ("return", [episode.score for episode in played]),
            ("length", [episode.length for episode in played]),
            ("terminated", [episode.terminated for episode in played]),
        ):
            assert rows[name].tolist() == values


def sweep() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [(f, 10 * f, r) for f in (1.5, 0.5) for r in generator.normal(f, 1, 6)]
    return pd.DataFrame(rows, columns=["factor", "target_return", "return"])


def test_a_sweep_is_summarised_per_target() -> None:
    table = sweep()
    summary = sweep_curves.summarise(table)
    assert summary["target_return"].tolist() == [5, 15]
    for row in summary.itertuples():
        returns = table.loc[table["factor"] == row.factor, "return"].to_numpy()
        assert row.mean == pytest.approx(returns.mean())
        assert (row.low, row.high) == statistics.confidence_interval([returns])


def test_sweeps_are_drawn_and_the_same_again(tmp_path: Path) -> None:
    one = sweep().groupby("factor").head(1)  # a single episode has no interval
    compared = [Run("catch", METHOD, "default", 0), Run("catch", "more3s", "default", 0)]
    for name in ("one.png", "two.png"):
        sweep_curves.plot(compared, [sweep(), one], "catch", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert np.asarray(Image.open(tmp_path / "one.png")).std() > 1


def test_a_file_that_is_no_sweep_is_named(tmp_path: Path) -> None:
    sweep().drop(columns="factor").to_csv(tmp_path / "sweep.csv")
    with pytest.raises(PipelineError, match=r"sweep\.csv: column 'factor' is missing; sweep"):
        sweep_curves.read(tmp_path / "sweep.csv")
