"""How far ahead a model is right: starts, errors, and the one-step model beside it."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from planners import KIND, A, windows_of
from policies import STATE, TORQUES, method_config, spec_of, trajectories_of

from pipeline.config.schema import OpenLoopConfig
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.evaluation import open_loop
from pipeline.methods import Learner, Predictor, make

CONFIG = OpenLoopConfig(steps=6, starts=100, updates=300, batch_size=32, learning_rate=0.01)
HELD_OUT = np.array([False, True, False])
SMALL: dict[str, dict[str, Any]] = {
    "tap": {"width": 8, "heads": 2, "layers": 1, "codebook": 8, "code_steps": 2, "window_codes": 2},
    "diffuser": {"horizon": 3, "channels": [16], "value_channels": [16], "blocks": 1, "levels": 6},
    "trajectory_transformer": {"width": 8, "heads": 2, "layers": 1, "bins": 5, "context_length": 2},
    "mbop": {"width": 8},
}


def linear() -> Trajectories:
    """s' = s + B a, so that a one-step model can know it."""
    data = trajectories_of([30, 9, 25], space=TORQUES)
    generator = np.random.default_rng(3)
    effect = generator.normal(size=(A, STATE)).astype("f4")
    states = []
    for start, length in zip(data.starts, data.episode_length, strict=True):
        begun = generator.normal(size=STATE).astype("f4")
        moved = np.cumsum(data.actions[start : start + length] @ effect, axis=0)
        states.append(np.concatenate([begun[None], begun + moved[:-1]]))
    return replace(data, observations=np.concatenate(states).astype("f4"))


def learner_of(method: str) -> Learner:
    torch.manual_seed(0)
    told = {"trajectories": trajectories_of([30], space=TORQUES), "return_scale": 1.0}
    return make(method_config(method, **SMALL[method]), spec_of(KIND, told)).eval()


def test_courses_are_of_held_out_episodes_and_end_with_them() -> None:
    data = linear()
    of = open_loop.courses(data, HELD_OUT, CONFIG)
    assert data.observations is not None
    assert of.known.sum(dim=1).tolist() == [6, 6, 6, 5, 4, 3, 2, 1]  # 9 states, 8 successors
    for row in range(8):
        count, begin = int(of.known[row].sum()), 30 + row
        assert torch.equal(of.first[row], torch.from_numpy(data.observations[begin]))
        after = torch.from_numpy(data.observations[begin + 1 : begin + 1 + count])
        assert torch.equal(of.states[row, :count], after)
        taken = torch.from_numpy(data.actions[begin : begin + count])
        assert torch.equal(of.actions[row, :count], taken)
        assert not of.states[row, count:].any()
    few = open_loop.courses(data, HELD_OUT, CONFIG.model_copy(update={"starts": 2}))
    assert few.known.sum(dim=1).tolist() == [6, 1]  # the first and the last


def test_errors_are_in_deviations_and_only_of_what_was_recorded() -> None:
    of = open_loop.courses(linear(), HELD_OUT, CONFIG)
    spread = torch.full((STATE,), 2.0)
    error = open_loop.errors(of.states + 3, of, spread)
    assert torch.equal(error.isnan(), ~of.known)
    torch.testing.assert_close(error[of.known], torch.full((int(of.known.sum()),), 1.5))


def test_predictions_that_diverge_count() -> None:
    """Three of four courses do from the second step on: none of them is left out."""
    of = open_loop.courses(linear(), HELD_OUT, CONFIG.model_copy(update={"starts": 4}))
    rows = of.known[:, 1]
    predicted = of.states.clone()
    predicted[rows.nonzero()[1:].flatten(), 1:] = torch.nan
    error = open_loop.errors(predicted, of, torch.ones(STATE))
    assert torch.equal(error.isnan(), ~of.known)
    (_, _, _, starts, mean, low, median, _), *_ = open_loop.rows_of("own", 1, error)[1:]
    assert starts == rows.sum() >= 3
    assert (mean, median) == (np.inf, np.inf)
    assert not np.isnan(low)


def test_a_one_step_model_learns_what_one_step_decides_and_has_its_size() -> None:
    data = linear()
    model, count = open_loop.markov(data, ~HELD_OUT, 3000, CONFIG, seed=1)
    assert abs(count - 3000) < 150
    of = open_loop.courses(data, HELD_OUT, CONFIG)
    spread = torch.from_numpy(np.asarray(data.observations)).std(dim=0)
    with torch.no_grad():
        error = open_loop.errors(model.predict(of.first, of.actions), of, spread)
        still = open_loop.errors(of.first[:, None].expand_as(of.states), of, spread)
    assert error.nanmean() < 0.2 * still.nanmean()
    again, _ = open_loop.markov(data, ~HELD_OUT, 3000, CONFIG, seed=1)
    assert torch.equal(again.predict(of.first, of.actions), model.predict(of.first, of.actions))


class Knows:
    """Says what follows in `linear`, by looking it up."""

    def __init__(self, of: open_loop.Courses) -> None:
        self.of = of

    def predict(self, first: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        assert torch.equal(first, self.of.first)
        assert torch.equal(actions, self.of.actions)
        return self.of.states


def test_a_table_has_mean_and_quartiles_by_steps() -> None:
    data = linear()
    knows: Any = Knows(open_loop.courses(data, HELD_OUT, CONFIG))
    rows = open_loop.measure(knows, 3000, data, HELD_OUT, CONFIG, seed=1)
    assert tuple(rows.columns) == open_loop.COLUMNS
    own = rows[rows["model"] == "own"]
    assert own["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert own["starts"].tolist() == [8, 7, 6, 5, 4, 3]
    assert (own[["mean", "quartile_1", "median", "quartile_3"]] == 0).all(axis=None)
    mean = rows[rows["model"] == "mean"]
    assert (mean["mean"] > 0.2).all()
    assert set(rows["model"]) == {"own", "markov", "mean"}


def test_what_cannot_be_predicted_is_said() -> None:
    data, nothing = linear(), np.zeros(3, np.bool_)
    with pytest.raises(PipelineError, match=r"made up: no held-out episodes to predict"):
        open_loop.courses(data, nothing, CONFIG)
    with pytest.raises(PipelineError, match=r"made up: no state vectors"):
        open_loop.courses(replace(data, observations=None), HELD_OUT, CONFIG)
    other: Any = SimpleNamespace()
    with pytest.raises(PipelineError, match=r"SimpleNamespace has no model of states"):
        open_loop.measure(other, 10, data, HELD_OUT, CONFIG, seed=0)


@pytest.mark.parametrize("method", SMALL)
def test_models_predict_each_start_by_itself_and_from_actions(method: str) -> None:
    """Over several windows; what a start's states are depends on no other start."""
    learner: Any = learner_of(method)
    assert isinstance(learner, Predictor)
    assert learner.settings.predicts
    torch.manual_seed(2)
    first, actions = torch.randn(3, STATE), torch.rand(3, 8, A) * 2 - 1
    with torch.no_grad():
        whole = learner.predict(first, actions)
        assert whole.shape == (3, 8, STATE)
        assert torch.isfinite(whole).all()
        torch.testing.assert_close(learner.predict(first, actions), whole)  # nothing is drawn
        alone = torch.cat([learner.predict(first[[i]], actions[[i]]) for i in range(3)])
        torch.testing.assert_close(alone, whole, atol=1e-4, rtol=1e-4)
        if method in ("mbop", "trajectory_transformer"):  # the others read a window at once
            short = learner.predict(first, actions[:, :5])
            torch.testing.assert_close(short, whole[:, :5], atol=1e-4, rtol=1e-4)


def test_a_model_that_has_learned_predicts_better() -> None:
    learner: Any = learner_of("mbop")
    batch = windows_of(learner, [20, 20]).batch(np.arange(18))
    states = batch.observation["state"]

    def error() -> torch.Tensor:
        told = learner.predict(states[:, 0], batch.actions[:, :1])[:, 0]
        square: torch.Tensor = (told - states[:, 1]).square().mean()
        return square

    before, optimiser = error().item(), torch.optim.Adam(learner.model.parameters(), 0.01)
    for _ in range(200):
        loss = learner.errors(learner.targets(batch))["model"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert error().item() < 0.3 * before
