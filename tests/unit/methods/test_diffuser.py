"""Diffuser: what it learns of windows, and how it plans."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_resumes
from planners import KIND, A, moment, part, windows_of
from policies import STATE, method_config, spec_of

from pipeline.config.schema import MethodConfig
from pipeline.errors import PipelineError
from pipeline.methods import Moment, make
from pipeline.methods.diffuser import Diffuser
from pipeline.nn.planning import Plan
from pipeline.training import loop
from pipeline.training.resume import Resumption

H = 4
POLICY: dict[str, Any] = {
    **{"horizon": H, "channels": [16, 24], "value_channels": [16], "blocks": 1, "levels": 6},
    **{"return_horizon": 5, "discount": 0.9, "end_penalty": 2.0},
}
TRAINING = {"batch_size": 12, "learning_rate": 0.01, "warmup_steps": 1, "held_out_fraction": 0.3}


def planner_of(planner: dict[str, Any] | None = None, **policy: Any) -> Diffuser:
    torch.manual_seed(0)
    planned = {"plans": 3, "warm_start": 2, "guide_steps": 0, **(planner or {})}
    settings = {**POLICY, "planner": planned, **policy}
    learner = make(method_config("diffuser", **settings), spec_of(KIND))
    assert isinstance(learner, Diffuser)
    return learner.eval()


def played(learner: Diffuser, now: Moment, state: Plan) -> tuple[torch.Tensor, Plan]:
    with torch.no_grad():
        return learner.act(now, state)


def test_windows_end_in_nothing_and_cut_ones_in_what_is_not_known() -> None:
    learner = planner_of()
    windows = windows_of(learner, [6, 6], cut=[1])
    batch = windows.batch(np.array([4, 10, 0]))
    clean, learned = learner.trajectories(batch)
    assert learned.tolist() == [[True] * 4, [True, True, False, False], [True] * 4]
    assert not clean[:2, 2:].any()
    torch.testing.assert_close(clean[2, :, :A], learner.bounds.scaled(batch.actions[2, :H]))
    torch.testing.assert_close(clean[2, :, A:], batch.observation["state"][2, :H] / 1.001)
    garbage = batch.actions.clone()
    garbage[~batch.mask] = 7.0
    again, _ = learner.trajectories(replace(batch, actions=garbage))
    assert torch.equal(again, clean)


def test_worth_is_the_discounted_sum_less_what_an_end_costs() -> None:
    learner = planner_of()
    learner.reward_mean.fill_(0.3)
    learner.reward_std.fill_(1.7)
    windows = windows_of(learner, [6, 6], cut=[1])
    worth, known = learner.worth(windows.batch(np.arange(12)))
    assert known.tolist() == [True] * 6 + [True] * 2 + [False] * 4
    rewards = windows.trajectories.rewards
    for t in range(8):
        end = 6 if t < 6 else 12
        total = sum(0.9**k * rewards[t + k] for k in range(min(5, end - t)))
        total -= 2.0 * 0.9 ** (5 - t) if 1 <= t < 6 else 0
        mean = total / sum(0.9**k for k in range(5))
        assert float(worth[t]) == pytest.approx((mean - 0.3) / 1.7, abs=1e-5)


def test_the_first_state_is_given_at_every_level_and_costs_nothing() -> None:
    learner = planner_of()
    clean = torch.randn(5, H, A + STATE)
    level = torch.arange(5)
    noisy = learner.noised(clean, level, torch.randn(clean.shape))
    assert torch.equal(noisy[:, 0, A:], clean[:, 0, A:])
    assert (noisy != clean)[:, 0, :A].all()
    assert torch.equal(learner.freed(noisy, level)[:, 0, A:], clean[:, 0, A:])
    plan = planner_of().planned(clean[:, 0, A:], torch.randn(5, 6, 3, H, A + STATE), None)
    torch.testing.assert_close(plan[:, :, 0, A:], clean[:, None, 0, A:].expand(5, 3, STATE))


def test_actions_of_plans_are_within_their_bounds_and_states_are_free() -> None:
    learner = planner_of()
    learner.plan = torch.nn.Module()
    learner.plan.forward = lambda noisy, level: 3 * noisy  # type: ignore[method-assign]
    noisy = torch.randn(5, H, A + STATE)
    freed = learner.freed(noisy, torch.arange(5))
    torch.testing.assert_close(freed[..., :A], (3 * noisy[..., :A]).tanh())
    torch.testing.assert_close(freed[:, 1:, A:], 3 * noisy[:, 1:, A:])


def test_the_first_action_weighs_more() -> None:
    learner = planner_of(action_weight=3.0)
    learner.freed = lambda noisy, level: noisy  # type: ignore[method-assign]
    clean, real = torch.zeros(1, H, A + STATE), torch.ones(1, H, dtype=torch.bool)
    off = clean.clone()
    off[0, 0, 0] = off[0, 1, 1] = 1.0
    assert float(learner.errors(clean, real, off, torch.zeros(1))) == pytest.approx(
        4 / (H * (A + STATE))
    )


def test_the_plan_that_is_executed_is_ranked_as_it_is_executed() -> None:
    learner = planner_of({"plans": 5})
    now = moment(4)
    action, state = played(learner, now, learner.start(4))
    noise = now.noise(6, 5, H, A + STATE)
    with torch.no_grad():
        plans = learner.planned(learner.states(now.observation["state"][:, 0]), noise, None)
        for episode in range(4):
            worth = learner.value(plans[episode], torch.zeros(1).long())
            best = plans[episode, int(worth.argmax())]
            assert state.steps is not None
            torch.testing.assert_close(state.steps[episode], best)
            torch.testing.assert_close(action[episode], learner.bounds.restored(best[0, :A]))
    assert (action[:, 1].abs() <= 2).all()


@pytest.mark.parametrize("guide", [{}, {"guide_steps": 2, "guide_scale": 0.5, "guide_from": 1}])
def test_no_plan_depends_on_the_other_episodes(guide: dict[str, Any]) -> None:
    learner = planner_of(guide)
    first, second, rows = moment(4), moment(4, seed=4), [2, 0]
    before, state = played(learner, first, learner.start(4))
    alone, own = played(learner, part(first, rows), learner.start(2))
    after, _ = played(learner, part(second, rows), state.select(torch.tensor(rows)))
    later, _ = played(learner, part(second, rows), own)
    torch.testing.assert_close(before[rows], alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after, later, atol=1e-5, rtol=1e-4)


def test_a_warm_start_begins_with_the_last_plan_a_step_later() -> None:
    learner = planner_of({"warm_start": 1, "noise": 0.0})
    seen: list[torch.Tensor] = []

    def denoised(x: torch.Tensor, level: int, noise: torch.Tensor | float) -> torch.Tensor:
        seen.append(x)
        return x

    learner.denoised = denoised  # type: ignore[method-assign]
    last = torch.randn(2, H, A + STATE)
    now = moment(2)
    _, state = played(learner, now, Plan(last))
    assert len(seen) == 1  # level, of 6
    kept = float(learner.schedule.kept[0]) ** 0.5
    for plan in (seen[0].view(2, 3, H, A + STATE), state.steps[:, None]):  # type: ignore[index]
        shifted = torch.cat((last[:, 1:], last[:, -1:]), dim=1)[:, None].expand_as(plan)
        torch.testing.assert_close(plan[:, :, 1:], kept * shifted[:, :, 1:])
        torch.testing.assert_close(plan[:, :, 0, :A], kept * shifted[:, :, 0, :A])
        given = learner.states(now.observation["state"])
        torch.testing.assert_close(plan[:, :, 0, A:], given.expand(2, plan.shape[1], STATE))


@pytest.mark.parametrize(("warm_start", "expected"), [(0, 6), (2, 2), (6, 6), (99, 6)])
def test_a_warm_start_costs_as_many_levels_as_it_adds(warm_start: int, expected: int) -> None:
    learner = planner_of({"warm_start": warm_start})
    levels: list[int] = []
    freed = learner.freed

    def counted(noisy: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        levels.append(int(level))
        return freed(noisy, level)

    learner.freed = counted  # type: ignore[method-assign]
    _, state = played(learner, moment(2), learner.start(2))
    assert levels == [5, 4, 3, 2, 1, 0]
    levels.clear()
    played(learner, moment(2, seed=4), state)
    assert levels == [*reversed(range(expected))]


def test_a_warm_start_of_all_levels_says_nothing_of_the_last_plan() -> None:
    """To what the cosine's last level leaves of it."""
    learner = planner_of({"warm_start": 20}, levels=20)
    now, one, other = moment(2), torch.randn(2, H, A + STATE), torch.zeros(2, H, A + STATE)
    first, _ = played(learner, now, Plan(one))
    second, _ = played(learner, now, Plan(other))
    cold, _ = played(learner, now, Plan())
    torch.testing.assert_close(first, second, atol=0.01, rtol=0.01)
    torch.testing.assert_close(first, cold, atol=0.01, rtol=0.01)


def test_a_guide_leads_to_plans_that_are_worth_more() -> None:
    seen, noise = torch.randn(3, STATE), torch.randn(3, 6, 3, H, A + STATE)
    worth = []
    for scale in (0.0, 5.0):
        learner = planner_of({"guide_steps": 3, "guide_scale": scale, "guide_from": 0})
        learner.freed = lambda noisy, level: noisy  # type: ignore[method-assign]
        with torch.no_grad():
            plans = learner.planned(seen, noise, None)
            worth.append(learner.value(plans.flatten(0, 1), torch.zeros(1).long()))
    assert (worth[1] > worth[0]).all()
    torch.testing.assert_close(plans[:, :, 0, A:], seen[:, None].expand(3, 3, STATE))


def test_the_guide_s_step_is_scaled_by_the_level_s_variance_and_by_rewards() -> None:
    """x + scale σ² Σγ^k std ∇J, then the posterior: J is a quadratic, freed plans are 0."""
    learner = planner_of({"guide_steps": 1, "guide_scale": 0.3, "guide_from": 2})
    learner.reward_std.fill_(2.0)
    learner.freed = lambda noisy, level: torch.zeros_like(noisy)  # type: ignore[method-assign]
    learner.value.forward = lambda y, now: -(y**2).sum(dim=(1, 2))
    x, worth = torch.randn(4, H, A + STATE), sum(0.9**k for k in range(5))
    for level in (1, 4):  # without a guide, and with
        _, deviation = learner.schedule.posterior(x, x, level)
        rate = 0.3 * float(deviation) ** 2 * worth * 2.0 if level >= 2 else 0.0
        moved = torch.where(learner.given, x, x - rate * 2 * x)
        mean, _ = learner.schedule.posterior(torch.zeros_like(x), moved, level)
        with torch.no_grad():
            found = learner.denoised(x, level, 0.0)
        torch.testing.assert_close(found, torch.where(learner.given, x, mean))


def test_one_batch_can_be_overfitted() -> None:
    learner = planner_of({"noise": 0.0}, channels=[32, 64], levels=6, end_penalty=0.0)
    windows = windows_of(learner, [30])
    batch = windows.batch(np.arange(0, 24, 3))
    optimizer = torch.optim.Adam(learner.parameters(), 3e-3)
    for step in range(400):
        losses = dict(learner.losses(batch, step))
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    now = replace(moment(8), observation={"state": batch.observation["state"][:, :1]})
    action, _ = played(learner, now, learner.start(8))
    assert float((action - batch.actions[:, 0]).square().mean()) < 0.1
    means = learner.read(batch)[1]
    assert float(means["value_error"]) < 0.1


def trained(
    steps: int, saved: Resumption | None = None, average: float = 0.9
) -> tuple[Diffuser, Any]:
    learner = planner_of(value_every=2)
    config = MethodConfig.model_validate(
        {
            "method": "diffuser",
            "training": {
                **TRAINING,
                **{"steps": steps, "evaluate_every": 4, "weight_average": average},
            },
        }
    )
    windows = windows_of(learner, [20, 30, 10], cut=[1])
    return learner, loop.train(learner, windows, config.training, 0, saved=saved)


def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, curve = assert_resumes(trained, tmp_path, monkeypatch)
    columns = {"held_out_plan_error", "held_out_value_error", "held_out_mse"}
    assert columns <= set(curve[0].held_out)
    assert all(np.isfinite(value) for value in curve[-1].held_out.values())
    assert not torch.equal(  # what is played is the average
        whole.plan.middle.blocks[0].level.weight,
        trained(12, average=0.0)[0].plan.middle.blocks[0].level.weight,
    )


def test_discrete_actions_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"^Made up: its actions are discrete"):
        make(method_config("diffuser"), spec_of("decision_transformer"))
