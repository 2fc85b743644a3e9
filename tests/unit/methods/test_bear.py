"""BEAR: its discrepancy against a double loop, its targets, its multiplier, a bandit, a resume."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_same_weights, killed
from policies import STATE, TORQUES, RandomStore, method_config, spec_of, trajectories_of

from pipeline.config.schema import MethodConfig
from pipeline.errors import PipelineError
from pipeline.methods import make
from pipeline.methods.bear import BEAR, BehaviourModel
from pipeline.nn.mmd import SMALLEST, Kernel, mmd
from pipeline.observations.windows import Windows
from pipeline.training import loop
from pipeline.training.resume import Resumption

KIND = "decision_transformer on states"
TRAINING = {
    **{"steps": 14, "batch_size": 8, "learning_rate": 0.01, "warmup_steps": 1, "gradient_clip": 10},
    **{"evaluate_every": 4, "held_out_fraction": 0.3, "weight_decay": 0},
}
POLICY = {
    **{"width": 16, "behaviour_width": 16, "behaviour_steps": 4, "critic_steps": 3, "n_step": 2},
    **{"samples": 3, "target_samples": 4},
}


def trained(
    saved: Resumption | None = None, training: dict[str, Any] | None = None, **policy: Any
) -> tuple[BEAR, list[Any]]:
    config = MethodConfig.model_validate(
        {"method": "bear", "policy": {**POLICY, **policy}}
        | {"training": {**TRAINING, **(training or {})}}
    )
    torch.manual_seed(0)
    learner = make(config, spec_of(KIND))
    assert isinstance(learner, BEAR)
    data = trajectories_of([20, 30, 10], space=TORQUES)
    windows = Windows(data, RandomStore(KIND, 60), TORQUES, 10.0, learner.settings)
    return learner, loop.train(learner, windows, config.training, 0, saved=saved)


@pytest.mark.parametrize("kernel", ["laplacian", "gaussian"])
def test_the_discrepancy_equals_a_double_loop(kernel: Kernel) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(4, 3, 2), torch.randn(5, 3, 2)

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        apart = (a - b).abs().sum() if kernel == "laplacian" else (a - b).square().sum()
        return math.exp(-apart.item() / (2 * 0.7))

    found = mmd(x, y, kernel, 0.7)
    for column in range(3):
        means = [
            sum(k(a[column], b[column]) for a in first for b in second) / len(first) / len(second)
            for first, second in ((x, x), (y, y), (x, y))
        ]
        square = means[0] + means[1] - 2 * means[2]
        assert found[column].item() == pytest.approx(math.sqrt(square + SMALLEST), rel=1e-4)
    nothing = mmd(x, x, kernel, 0.7)
    torch.testing.assert_close(nothing, torch.full((3,), math.sqrt(SMALLEST)), atol=3e-4, rtol=0)


def test_the_discrepancy_has_a_gradient_where_it_vanishes() -> None:
    x = torch.zeros(3, 2, 2, requires_grad=True)
    mmd(x, torch.zeros(3, 2, 2), "gaussian", 1.0).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_targets_are_the_best_of_a_mixture_of_critics() -> None:
    learner, _ = trained()
    data = trajectories_of([20, 30, 10], space=TORQUES)
    windows = Windows(data, RandomStore(KIND, 60), TORQUES, 10.0, learner.settings)
    of = learner.transitions(windows.batch(np.array([3, 17, 19, 40])))
    torch.manual_seed(5)
    found = learner._targets(of)
    torch.manual_seed(5)
    with torch.no_grad():
        actions, _ = learner.policy_target.sample(of.next_states, 4)  # type: ignore[union-attr,operator]
        for row in range(4):
            each = learner.target(of.next_states[row].expand(4, -1), actions[:, row]).T
            best = max(0.75 * min(q).item() + 0.25 * max(q).item() for q in each)
            goal = of.rewards[row] + of.discounts[row] * best
            assert found[row].item() == pytest.approx(goal.item(), rel=1e-4)
    assert of.discounts[2] == 0  # the episode's last step, and it fell


@pytest.mark.parametrize(("threshold", "rises"), [(1e-4, True), (10.0, False)])
def test_the_multiplier_rises_where_the_bound_is_broken(threshold: float, rises: bool) -> None:
    learner, rows = trained(threshold=threshold)
    assert (learner.multiplier().item() > 1) == rises
    assert rows[-1].held_out["held_out_multiplier"] == pytest.approx(learner.multiplier().item())


def test_phases_train_what_they_say() -> None:
    behaviour, rows = trained(training={"steps": 4})
    assert set(rows[-1].train_loss) == {"behaviour", "critic", "policy", "multiplier"}
    learner, _ = trained(training={"steps": 4}, behaviour_steps=0)
    fresh, _ = trained(training={"steps": 1})
    for name in ("critic", "policy"):
        untouched, moved, start = (
            getattr(each, name).state_dict() for each in (behaviour, learner, fresh)
        )
        assert all(torch.equal(untouched[key], start[key]) for key in start)
        assert not all(torch.equal(moved[key], start[key]) for key in start)


def test_before_the_critics_are_trusted_the_policy_sees_no_q() -> None:
    grown = []
    for scale in (1.0, 1000.0):
        learner, _ = trained(training={"steps": 8}, critic_steps=4, reward_scale=scale)
        grown.append(learner.policy.state_dict())
    assert all(torch.equal(grown[0][key], grown[1][key]) for key in grown[0])


def test_the_behaviour_model_alone_plays_its_mode() -> None:
    learner, rows = trained(behaviour_only=True)
    assert isinstance(learner.policy, BehaviourModel)
    assert learner.behaviour is learner.policy
    assert list(rows[-1].train_loss) == ["behaviour"]
    assert rows[-1].held_out["held_out_mse"] > 0
    assert "held_out_q" not in rows[-1].held_out


def test_the_behaviour_model_learns_by_heart() -> None:
    torch.manual_seed(0)
    model = BehaviourModel(3, {}, TORQUES, [32, 32])
    states, actions = torch.randn(8, 3), torch.rand(8, 2) * 1.6 - 0.8
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(400):
        loss = model.loss(states, actions, 0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model.mode(states) - actions).square().mean() < 0.01
    assert model.sample_u(states, 5).shape == (5, 8, 2)


def test_its_policy_finds_the_better_of_two_actions() -> None:
    """States say nothing; an upper action pays. The bound is wide, so Q decides."""
    data = trajectories_of([1] * 200, space=TORQUES)
    generator = np.random.default_rng(0)
    upper = np.arange(200) % 2
    actions = np.stack([2 * upper - 1, np.zeros(200)], axis=1) * 0.5
    actions = (actions + 0.1 * generator.normal(size=actions.shape)).astype("f4")
    vars(data).update(actions=actions, rewards=upper.astype("f4"))
    policy = {**POLICY, "threshold": 0.5, "kernel": "gaussian", "bandwidth": 0.5}
    policy |= {"compared": "actions", "behaviour_steps": 50, "critic_steps": 50, "n_step": 1}
    config = MethodConfig.model_validate(
        {"method": "bear", "policy": policy}
        | {"training": {**TRAINING, "steps": 250, "batch_size": 32, "evaluate_every": 250}}
    )
    torch.manual_seed(0)
    learner: Any = make(config, spec_of(KIND))
    windows = Windows(data, RandomStore(KIND, 200), TORQUES, 10.0, learner.settings)
    (row,) = loop.train(learner, windows, config.training, 0)
    with torch.no_grad():
        played = learner.policy.play(torch.randn(100, 6))[:, 0].mean().item()
    assert 0.3 < played < 1.1
    assert row.held_out["held_out_q"] == pytest.approx(0.5, abs=0.15)


def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, curve = trained()
    saved = Resumption(tmp_path / "policy", "this one", every=2)
    with killed(monkeypatch, 9):
        trained(saved)
    resumed, again = trained(saved)
    assert repr(again) == repr(curve)  # critics have no loss in the first phase, and NaN is not NaN
    assert_same_weights(whole, resumed)


def test_bad_input_is_one_line() -> None:
    with pytest.raises(PipelineError, match=r"discrete"):
        make(method_config("bear"), spec_of("decision_transformer"))
    with pytest.raises(PipelineError, match=r"policy.samples: .*greater than or equal to 2"):
        MethodConfig.from_json(json.dumps({"method": "bear", "policy": {"samples": 1}}))


@pytest.mark.parametrize("method", ["bear", "brac_v", "cql_continuous", "iql", "td3_bc", "mbop"])
def test_networks_hold_copies_of_the_data_s_statistics(method: str) -> None:
    """A store's arrays are float32 as weights are, and shared tensors can't be saved."""
    arrays = {name: np.ones(STATE, np.float32) for name in ("state_mean", "state_std")}
    held = make(method_config(method), spec_of(KIND, arrays)).state_dict()
    places = [tensor.untyped_storage().data_ptr() for tensor in held.values()]
    assert len(set(places)) == len(places)
    assert not {array.ctypes.data for array in arrays.values()} & set(places)
