"""What a decision costs: what is counted, what is timed, and of which episodes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import robots
import torch
from policies import method_config

from pipeline.config.schema import EvaluationConfig, TimingConfig
from pipeline.data import trajectories
from pipeline.data.trajectories import Trajectories
from pipeline.evaluation.decision_columns import COLUMNS
from pipeline.evaluation.decision_time import Metered, Stopwatch, parameters, passes
from pipeline.evaluation.run import EvaluationProtocol, LoadedPolicy
from pipeline.methods import Spec, make
from pipeline.observations import LiveStep
from pipeline.observations.states import StateObserver
from pipeline.training import checkpoint

SMALL: dict[str, dict[str, Any]] = {
    "tap": {"width": 8, "heads": 2, "layers": 1, "codebook": 8, "window_codes": 4},
    "diffuser": {"horizon": 4, "channels": [16], "value_channels": [16], "blocks": 1, "levels": 6},
    "trajectory_transformer": {"width": 8, "heads": 2, "layers": 1, "bins": 5},
    "mbop": {"width": 8},
    "upside_down": {"width": 8},
}
PLANNER: dict[str, dict[str, Any]] = {
    "tap": {"codes": 2, "beams": 2, "expand": 2},
    "diffuser": {"plans": 2, "warm_start": 2, "guide_steps": 0},
    "trajectory_transformer": {"horizon": 2, "beams": 2, "expand": 2, "context": 2},
    "mbop": {"horizon": 3, "trajectories": 6},
}
STATES, TORQUES = 11, 3


def config_of(method: str, **planner: Any) -> Any:
    planned = {"planner": PLANNER[method] | planner} if method in PLANNER else {}
    return method_config(method, **SMALL[method], **planned)


def loaded_of(method: str, data: Trajectories, **planner: Any) -> LoadedPolicy:
    game = robots.robot(robots.config())
    spec = Spec(("Hopper",), (game.actions,), {"state": (STATES,)}, {})
    torch.manual_seed(0)
    config = config_of(method, **planner)
    learner = make(config, spec).eval()
    return LoadedPolicy(learner, checkpoint.describe(config, 0, 100.0, spec), StateObserver())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Trajectories:
    np.savez(tmp_path_factory.mktemp("d") / "hopper.npz", **robots.recording())
    return trajectories.collect(
        robots.dataset(), robots.config(), tmp_path_factory.getbasetemp() / "d0"
    )


@pytest.fixture
def stopwatch(data: Trajectories) -> Stopwatch:
    protocol = EvaluationProtocol(
        robots.config(), EvaluationConfig(episodes=5, first_seed=20_000), data, 60, seed=0
    )
    return Stopwatch(protocol, TimingConfig(decisions=3, episodes=2, horizons=[2, 4, 8]))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("tap", 2 + 2),  # the prior and the decoder for each code
        ("diffuser", 2 + 1),  # levels of a warm start, and worth
        # what has been seen; three torques and a reward in both steps, a state between them
        ("trajectory_transformer", 1 + 2 * (TORQUES + 1) + STATES),
        ("mbop", 3 + 3 + 1),  # model and behaviour in each step, and the returns
        ("upside_down", 1),
    ],
)
def test_forward_passes_are_those_of_the_algorithm(
    method: str, expected: int, data: Trajectories, stopwatch: Stopwatch
) -> None:
    loaded = loaded_of(method, data)
    rows = stopwatch.measure(loaded, config_of(method))
    assert tuple(rows.columns) == COLUMNS
    own = rows[rows["played"]]
    assert own["episodes"].tolist() == [1, 2]
    assert own["forward_passes"].tolist() == [expected] * 2
    assert (rows["milliseconds"] > 0).all()
    assert (rows["decisions"] == 3).all()
    assert own["parameters"].tolist() == [parameters(loaded.policy)] * 2


def test_other_horizons_are_measured_and_keep_weights_where_they_can(
    data: Trajectories, stopwatch: Stopwatch
) -> None:
    found = {}
    for method in SMALL:
        rows = stopwatch.measure(loaded_of(method, data), config_of(method))
        others = rows[~rows["played"] & (rows["episodes"] == 1)]
        found[method] = list(zip(others["horizon"], others["trained"], strict=True))
    assert found["trajectory_transformer"] == [(4, True), (8, True)]  # 2 is its own
    assert found["mbop"] == [(2, True), (4, True), (8, True)]
    assert found["diffuser"] == [(2, False), (8, False)]
    assert found["tap"] == [(3, True), (9, True)]  # whole codes of three steps; 6 is its own
    assert found["upside_down"] == []


def test_passes_are_counted_in_the_block_only(data: Trajectories) -> None:
    learner = loaded_of("upside_down", data).policy
    with passes(learner) as counter:
        assert counter() == 0
        learner.action_head(torch.zeros(1, 8))
        assert counter() == 1
    learner.action_head(torch.zeros(1, 8))
    assert counter() == 1


class Sleeper:
    """Decides nothing, and takes note of who asks."""

    def __init__(self) -> None:
        self.kept: list[list[int]] = []

    def decide(self, live: LiveStep) -> Any:
        return np.zeros((len(live.episodes), 3))

    def keep(self, rows: Any) -> None:
        self.kept.append(rows.tolist())


def test_only_decisions_for_all_episodes_count() -> None:
    ticks = iter(range(100))
    player = Metered(Sleeper(), 2, lambda: float(next(ticks)))
    live = LiveStep([], np.zeros((2, 3)), np.zeros(2), np.zeros(2), np.arange(2), 0, lambda: None)  # type: ignore[arg-type, return-value]
    for timestep in range(5):
        player.decide(replace(live, timestep=timestep))
    player.keep(np.array([0]))
    player.decide(replace(live, timestep=5, episodes=np.arange(1)))
    assert player.readings == [1.0, 1.0]  # timesteps 3 and 4
