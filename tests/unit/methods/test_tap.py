"""TAP: what its autoencoder and prior learn, and how it looks for plans."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_same_weights, killed
from planners import KIND, A, moment, part, windows_of
from policies import STATE, method_config, spec_of

from pipeline.config.schema import MethodConfig
from pipeline.errors import PipelineError
from pipeline.methods import Moment, Stateless, make
from pipeline.methods.tap import TAP
from pipeline.nn.code_plans import CodePlans
from pipeline.training import loop
from pipeline.training.resume import Resumption

POLICY: dict[str, Any] = {
    **{"window_codes": 3, "code_steps": 2, "codebook": 12, "code_width": 8, "dropout": 0.0},
    **{"return_horizon": 3, "discount": 0.9, "autoencoder_steps": 4},
}
PLANNER = {"codes": 2, "beams": 3, "expand": 2, "threshold": 0.3}
TRAINING = {"batch_size": 12, "learning_rate": 0.01, "warmup_steps": 1, "held_out_fraction": 0.3}


def planner_of(planner: dict[str, Any] | None = None, **policy: Any) -> TAP:
    torch.manual_seed(0)
    settings = {**POLICY, "planner": {**PLANNER, **(planner or {})}, **policy}
    learner = make(method_config("tap", **settings), spec_of(KIND))
    assert isinstance(learner, TAP)
    return learner.eval()


def played(learner: TAP, now: Moment) -> torch.Tensor:
    with torch.no_grad():
        return learner.act(now, Stateless())[0]


def test_windows_hold_values_and_whether_they_have_ended() -> None:
    learner = planner_of()
    learner.reward_mean.fill_(0.3)
    learner.reward_std.fill_(1.7)
    windows = windows_of(learner, [10, 10], cut=[1])
    batch = windows.batch(np.array([0, 7, 17, 12]))
    of, rewards = learner.steps(batch), windows.trajectories.rewards
    assert of.whole.tolist() == [[True] * 6, [True] * 6, [True] * 3 + [False] * 3, [True] * 6]
    ended = [[0] * 6, [0, 0, 1, 1, 1, 1], [0] * 6, [0] * 6]
    assert of.x[..., -1].tolist() == ended
    assert of.known[1, :, 0].tolist() == [True] * 3 + [False] * 3  # after the end nothing else is
    # of the cut episode's last steps what follows is not known
    assert of.known[2, :, -2].tolist() == [False] * 6
    assert of.known[3, :, -2].tolist() == [True] * 5 + [False]
    assert of.known[1, :, -2].tolist() == [True] * 3 + [False] * 3
    weight = 1 + 0.9 + 0.81
    for row, first, end in ((0, 0, 10), (1, 7, 10), (3, 12, 20)):
        for t in range(6):
            if of.known[row, t, -2]:
                following = range(first + t + 1, min(first + t + 4, end))
                value = sum(0.9**k * rewards[i] for k, i in enumerate(following))
                assert float(of.x[row, t, -2]) == pytest.approx(
                    (value / weight - 0.3) / 1.7, abs=1e-5
                )
    torch.testing.assert_close(
        of.x[0, :, STATE : STATE + A], learner.bounds.scaled(batch.actions[0, :6])
    )
    assert learner.readable(of).tolist() == [[True] * 3] * 2 + [[True, False, False], [True] * 3]


def test_what_is_not_known_teaches_nothing() -> None:
    learner = planner_of()
    of = learner.steps(windows_of(learner, [10, 10], cut=[1]).batch(np.array([0, 7, 17])))
    decoded = torch.randn(of.x.shape)
    plain = learner.reconstruction(of, decoded)
    other = torch.where(of.known, decoded, decoded + 5)
    torch.testing.assert_close(learner.reconstruction(of, other), plain)
    assert float(learner.reconstruction(of, torch.where(of.known, decoded + 5, decoded))) > plain
    codes = torch.randint(12, (3, 3))
    changed = torch.where(learner.readable(of), codes, (codes + 1) % 12)
    with torch.no_grad():
        torch.testing.assert_close(learner.likelihood(codes, of), learner.likelihood(changed, of))


def test_a_plan_s_first_steps_do_not_depend_on_later_codes() -> None:
    learner = planner_of()
    seen, codes = torch.randn(2, STATE), torch.randint(12, (2, 3))
    other = codes.clone()
    other[:, 2] = (other[:, 2] + 1) % 12
    with torch.no_grad():
        before, after = (learner.autoencoder.imagine(x, seen) for x in (codes, other))
        shorter = learner.autoencoder.imagine(codes[:, :2], seen)
        logits, others = (learner.prior(x[:, :2], seen) for x in (codes, codes.flip(1)))
    torch.testing.assert_close(before[:, :4], after[:, :4])
    torch.testing.assert_close(before[:, :4], shorter)
    assert (before[:, 4:] - after[:, 4:]).abs().max() > 1e-4
    torch.testing.assert_close(logits[:, 0], others[:, 0])
    assert (logits[:, 1:] - others[:, 1:]).abs().max() > 1e-4
    of = learner.steps(windows_of(learner, [20]).batch(np.array([3])))
    later = of.x.clone()
    later[:, 4:] += 1
    with torch.no_grad():  # nor do codes on later steps
        torch.testing.assert_close(
            learner.autoencoder.encode(of.x)[:, :2], learner.autoencoder.encode(later)[:, :2]
        )


def test_a_plan_that_grows_equals_a_pass_over_all_of_it() -> None:
    """With rows that are chosen on the way, as the search does."""
    learner = planner_of()
    seen, codes = torch.randn(3, STATE), torch.zeros(3, 0, dtype=torch.int64)
    plans = CodePlans.begin(learner.prior, learner.autoencoder, seen)
    with torch.no_grad():
        for came in ([2, 0, 1, 0, 2], [4, 4, 1, 0], [3, 0, 2]):
            logits, plans = plans.propose()
            torch.testing.assert_close(logits, learner.prior(codes, seen)[:, -1])
            rows = torch.tensor(came)
            codes = torch.cat((codes[rows], torch.randint(12, (len(rows), 1))), dim=1)
            seen, plans = seen[rows], plans.select(rows).append(codes[:, -1])
            torch.testing.assert_close(plans.decoded, learner.autoencoder.imagine(codes, seen))


def test_with_room_for_all_plans_the_best_of_all_is_played() -> None:
    every = {"codes": 2, "beams": 4, "expand": 4, "temperature": 0.0, "threshold": 0.2}
    learner, now = planner_of(every, codebook=4), moment(5)
    seen = learner.states(now.observation["state"][:, 0])
    plans = torch.cartesian_prod(torch.arange(4), torch.arange(4)).repeat(len(seen), 1)
    with torch.no_grad():
        told = seen.repeat_interleave(16, dim=0)
        decoded = learner.autoencoder.imagine(plans, told)
        log_p = learner.prior(plans[:, :1], told).log_softmax(dim=-1)
        likely = log_p.gather(-1, plans[..., None])[..., 0].clamp(max=float(np.log(0.2)))
        score = learner.worth(decoded) + learner.settings.planner.support_weight * likely.sum(dim=1)
        best = score.view(-1, 16).argmax(dim=1) + 16 * torch.arange(len(seen))
        torch.testing.assert_close(played(learner, now), learner.action(decoded[best]))


def test_a_plan_is_worth_its_rewards_as_long_as_it_goes_on() -> None:
    learner = planner_of()
    learner.reward_mean.fill_(0.5)
    learner.reward_std.fill_(2.0)
    decoded = torch.randn(3, 4, STATE + A + 3)
    worth = learner.worth(decoded)
    for row in range(3):
        total, alive = 0.0, 1.0
        for t in range(4):
            reward, value, ended = decoded[row, t, -3:].tolist()
            total += 0.9**t * alive * (0.5 + 2 * reward)
            alive = 1 / (1 + np.exp(ended))
        total += 0.9**4 * alive * (1 + 0.9 + 0.81) * (0.5 + 2 * value)
        assert float(worth[row]) == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("planner", [{}, {"temperature": 0}, {"beams": 1, "expand": 1}])
def test_no_plan_depends_on_the_other_episodes(planner: dict[str, Any]) -> None:
    learner, now = planner_of(planner), moment(4)
    together = played(learner, now)
    for rows in ([2, 0], [3]):
        torch.testing.assert_close(
            played(learner, part(now, rows)), together[rows], atol=1e-5, rtol=1e-4
        )
    assert (together[:, 1].abs() <= 2).all()


def test_one_batch_can_be_overfitted_and_is_then_played() -> None:
    learner = planner_of({"temperature": 0.0, "codes": 3}, width=32, autoencoder_steps=500)
    windows = windows_of(learner, [40])
    batch = windows.batch(np.arange(0, 30, 5))
    optimizer = torch.optim.Adam(learner.parameters(), 3e-3)
    losses: dict[str, float] = {}
    for step in range(800):
        for name, loss in learner.losses(batch, step):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[name] = float(loss)
    assert losses["autoencoder"] < 0.2
    assert losses["prior"] < 0.05
    learner.eval()
    of = learner.steps(batch)
    with torch.no_grad():
        read, means = learner.read(batch)
        held = (of.x[:, :1, :STATE].expand(-1, 6, -1) - of.x[..., :STATE]).square().mean()
    assert float(means["state_error"]) < 0.05 * held  # better than a state that stays
    now = replace(moment(6), observation={"state": batch.observation["state"][:, :1]})
    for action in (played(learner, now), read[:, 0]):
        assert float((action - batch.actions[:, 0]).square().mean()) < 0.05


def test_the_first_phase_trains_the_autoencoder_and_the_second_the_prior() -> None:
    learner = planner_of()
    batch = windows_of(learner, [20]).batch(np.arange(8))
    codes = learner.autoencoder.codebook.codes.clone()
    assert [name for name, _ in learner.losses(batch, 3)] == ["autoencoder"]
    assert not torch.equal(learner.autoencoder.codebook.codes, codes)
    codes = learner.autoencoder.codebook.codes.clone()
    assert [name for name, _ in learner.losses(batch, 4)] == ["prior"]
    assert torch.equal(learner.autoencoder.codebook.codes, codes)
    assert learner.phases(9) == {"autoencoder": range(4), "prior": range(4, 9)}


def test_each_phase_ends_at_the_lowest_rate() -> None:
    rows = trained(12)[1]
    rates = [row.learning_rate for row in rows]
    first, second = ([rate[name] for rate in rates] for name in ("autoencoder", "prior"))
    assert first[0] > 0  # update 4 of its 6
    assert first[1:] == [0, 0]  # updates 8 and 12 are not its own
    assert second[0] == 0
    assert second[1] > second[2] > 0


def trained(steps: int, saved: Resumption | None = None) -> tuple[TAP, Any]:
    learner = planner_of(dropout=0.1, autoencoder_steps=6)
    training = {**TRAINING, "steps": steps, "evaluate_every": 4, "weight_average": 0.9}
    config = MethodConfig.model_validate({"method": "tap", "training": training})
    windows = windows_of(learner, [20, 30, 16], cut=[1])
    return learner, loop.train(learner, windows, config.training, 0, saved=saved)


@pytest.mark.parametrize("killed_after", [3, 9])
def test_a_killed_training_ends_with_the_same_bytes(
    killed_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, curve = trained(12)
    names = ("state_error", "action_error", "value_error", "prior_nats", "mse")
    assert {f"held_out_{name}" for name in names} <= set(curve[0].held_out)
    assert all(np.isfinite(value) for value in curve[-1].held_out.values())
    saved = Resumption(tmp_path / "policy", "this one", every=2)
    with killed(monkeypatch, killed_after):
        trained(12, saved)
    resumed, again = trained(12, saved)
    assert str(again) == str(curve)  # a phase that takes no step has NaN
    assert_same_weights(whole, resumed)


def test_discrete_actions_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"^Made up: its actions are discrete"):
        make(method_config("tap"), spec_of("decision_transformer"))
