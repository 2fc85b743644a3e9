"""Model-based offline planning: what its ensembles are taught, and how it plans with them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_resumes
from planners import KIND, A, moment, part, windows_of
from policies import STATE, TORQUES, method_config, spec_of, trajectories_of
from torch import Tensor

from pipeline.config.schema import MethodConfig
from pipeline.data.statistics import statistics
from pipeline.errors import PipelineError
from pipeline.methods import make
from pipeline.methods.mbop import MBOP
from pipeline.nn.planning import Plan, collected, dealt, weighted_plan
from pipeline.observations.batch import Batch
from pipeline.training import loop
from pipeline.training.resume import Resumption

TRAINING = {"batch_size": 12, "learning_rate": 0.01, "warmup_steps": 1, "held_out_fraction": 0.3}


def planner_of(**policy: Any) -> MBOP:
    torch.manual_seed(0)
    settings = {"width": 16, "return_horizon": 4, **policy}
    learner = make(method_config("mbop", **settings), spec_of(KIND))
    assert isinstance(learner, MBOP)
    return learner.eval()


def test_returns_are_sums_that_an_end_shortens_and_a_cut_takes_away() -> None:
    learner = planner_of()
    windows = windows_of(learner, [6, 6], cut=[1])
    batch = windows.batch(np.arange(12))
    of, rewards = learner.targets(batch), windows.trajectories.rewards
    for t in range(12):
        end = 6 if t < 6 else 12
        np.testing.assert_allclose(of.returns[t], rewards[t : min(t + 4, end)].sum() / 4, rtol=1e-6)
    assert of.whole.tolist() == [True] * 6 + [True] * 3 + [False] * 3
    assert of.followed[:, 0].tolist() == [*[True] * 5, False, *[True] * 5, False]
    assert of.followed[:, -1].all()  # an end pays too


def test_changes_of_state_are_standardised_by_the_data() -> None:
    data = trajectories_of([20, 30], space=TORQUES)
    assert data.observations is not None
    told = statistics(data)
    inside = np.delete(np.diff(data.observations, axis=0), 19, axis=0)
    np.testing.assert_allclose(told["change_std"], inside.std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(told["reward_mean"], data.rewards.mean(), rtol=1e-5)
    np.testing.assert_allclose(told["reward_std"], data.rewards.std(), rtol=1e-4)


def test_a_window_teaches_one_member() -> None:
    learner = planner_of()
    batch = windows_of(learner, [20]).batch(np.array([3, 4, 5, 6]))
    other = replace(batch, actions=batch.actions.clone())
    other.actions[1] += 0.5  # the second window, which is member 1's
    for name in ("model", "behaviour", "returns"):
        gradients = []
        for each in (batch, other):
            learner.zero_grad()
            dict(learner.losses(each, 0))[name].backward()
            gradients.append(getattr(learner, name).weights[0].grad.clone())
        same = [bool((a == b).all()) for a, b in zip(*gradients, strict=True)]
        assert same == [True, False, True]


def test_only_the_action_before_is_blurred_and_only_in_training() -> None:
    """Lest the prior repeats it: 600 draws have the deviation that was asked for."""
    learner = planner_of(previous_noise=0.3)
    windows = windows_of(learner, [600])
    batch = windows.batch(np.arange(600))
    plain, blurred = learner.targets(batch), learner.train().targets(batch)
    apart = (blurred.previous - plain.previous).std()
    assert apart.item() == pytest.approx(0.3, rel=0.1)
    assert torch.equal(blurred.action, plain.action)
    assert torch.equal(blurred.state, plain.state)


def test_plans_weigh_by_return() -> None:
    torch.manual_seed(0)
    actions, returns = torch.randn(2, 9, 3, A), torch.randn(2, 9)
    torch.testing.assert_close(weighted_plan(actions, returns, 0.0), actions.mean(dim=1))
    best = actions[torch.arange(2), returns.argmax(dim=1)]
    torch.testing.assert_close(weighted_plan(actions, returns, 1e4), best)
    plan = weighted_plan(actions, returns, 0.7)
    torch.testing.assert_close(weighted_plan(actions, returns + 5, 0.7), plan)
    weights = [np.exp(0.7 * float(r)) for r in returns[0]]
    looped = sum(w * actions[0, n] for n, w in enumerate(weights)) / sum(weights)
    torch.testing.assert_close(plan[0], torch.as_tensor(looped), check_dtype=False)


def test_trajectory_i_is_member_i_mod_e_s() -> None:
    x = torch.arange(2 * 6).view(2, 6)
    assert dealt(x, 3).tolist() == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    assert torch.equal(collected(dealt(x, 3), 2), x)


@pytest.mark.parametrize("inertia", [0.0, 0.4])
def test_imagination_equals_a_loop_over_trajectories(inertia: float) -> None:
    planner = {"trajectories": 6, "horizon": 3, "inertia": inertia}
    learner = planner_of(planner=planner)
    learner.change_std.copy_(torch.rand(STATE) + 0.5)
    learner.reward_mean.fill_(0.3)
    learner.reward_std.fill_(1.7)
    seen, previous, last = torch.randn(2, STATE), torch.rand(2, A), torch.rand(2, 3, A)
    noise = 0.3 * torch.randn(2, 3, 6, A)
    with torch.no_grad():
        actions, returns = learner.imagine(seen, previous, noise, last)
        for episode in range(2):
            for i in range(6):
                state, action, total, member = seen[episode], previous[episode], 0.0, i % 3
                for t in range(3):
                    told = torch.cat((state, action))[None]
                    proposed = learner.behaviour(told)[member, 0] + noise[episode, t, i]
                    kept = last[episode, min(t + 1, 2)]
                    action = ((1 - inertia) * proposed + inertia * kept).clamp(-1, 1)
                    torch.testing.assert_close(actions[episode, i, t], action)
                    told = torch.cat((state, action))[None]
                    outcome = learner.model(told)[member, 0]
                    total += 0.3 + 1.7 * float(outcome[-1])
                    state = state + outcome[:-1] * learner.change_std / learner.states.std
                told = torch.cat((state, action))[None]  # f_R(s_{H+1}, a_H)
                total += 4 * (0.3 + 1.7 * float(learner.returns(told).mean()))
                assert float(returns[episode, i]) == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("horizon", [0, 3])
def test_no_plan_depends_on_the_other_episodes(horizon: int) -> None:
    learner = planner_of(planner={"trajectories": 6, "horizon": horizon, "inertia": 0.3})
    first, second = moment(4), moment(4, seed=4)
    rows = [2, 0]
    with torch.no_grad():
        before, state = learner.act(first, learner.start(4))
        alone, own = learner.act(part(first, rows), learner.start(2))
        after, _ = learner.act(part(second, rows), state.select(torch.tensor(rows)))
        later, _ = learner.act(part(second, rows), own)
    torch.testing.assert_close(before[rows], alone, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(after, later, atol=1e-6, rtol=1e-5)
    assert (before[:, 1].abs() <= 2).all()


def test_trajectories_are_rounded_up_to_a_multiple_of_the_members() -> None:
    seen, decided = moment(2), []
    for trajectories in (4, 6):
        learner = planner_of(planner={"horizon": 2, "trajectories": trajectories})
        with torch.no_grad():
            decided.append(learner.act(seen, learner.start(2))[0])
    torch.testing.assert_close(*decided)


def test_without_a_horizon_it_plays_what_it_reads() -> None:
    learner = planner_of(planner={"horizon": 0})
    windows = windows_of(learner, [20])
    batch = windows.batch(np.array([0]))
    seen = {"state": batch.observation["state"][:, :1]}
    now = replace(moment(1), observation=seen, previous_action=batch.previous_actions[:, :1])
    with torch.no_grad():
        torch.testing.assert_close(learner.act(now, Plan())[0], learner.read(batch)[0][:, 0])


def test_one_batch_can_be_overfitted() -> None:
    learner = planner_of(width=64)
    batch = windows_of(learner, [20]).batch(np.arange(9))
    optimizer = torch.optim.Adam(learner.parameters(), 0.01)
    losses: dict[str, Tensor] = {}
    for step in range(300):
        losses = dict(learner.losses(batch, step))
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    assert max(each.item() for each in losses.values()) < 1e-3


def trained(steps: int, saved: Resumption | None = None) -> tuple[MBOP, list[Any]]:
    learner = planner_of()
    config = MethodConfig.model_validate(
        {"method": "mbop", "training": {**TRAINING, "steps": steps, "evaluate_every": 4}}
    )
    windows = windows_of(learner, [20, 30, 10], cut=[1])
    return learner, loop.train(learner, windows, config.training, 0, saved=saved)


def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, curve = assert_resumes(trained, tmp_path, monkeypatch)
    names = {f"held_out_{name}_error" for name in ("state", "reward", "returns")}
    assert names <= set(curve[0].held_out)
    assert "held_out_mse" in curve[0].held_out


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"members": 1}, r"policy.members: Input should be greater than or equal to 2"),
        ({"planner": {"horizn": 3}}, r"planner.horizn"),
    ],
)
def test_bad_settings_are_one_line(policy: dict[str, Any], expected: str) -> None:
    with pytest.raises(PipelineError, match=expected) as caught:
        MethodConfig.from_json(json.dumps({"method": "mbop", "policy": policy}))
    assert "\n" not in str(caught.value)


def test_a_batch_has_a_window_for_every_member() -> None:
    learner = planner_of()
    batch = windows_of(learner, [5]).batch(np.array([1, 2]))
    with pytest.raises(PipelineError, match=r"^training.batch_size: 2 windows for 3 members"):
        next(iter(learner.losses(batch, 0)))


def test_discrete_actions_are_refused() -> None:
    with pytest.raises(PipelineError, match="its actions are discrete, and this method is for"):
        make(method_config("mbop"), spec_of("decision_transformer"))


def test_batches_carry_what_it_needs() -> None:
    learner = planner_of(return_horizon=1)
    batch: Batch = windows_of(learner, [5]).batch(np.array([2]))
    assert batch.mask.shape == (1, 2)
