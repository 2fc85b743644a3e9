"""Trajectory Transformer: its tokens and losses, the cache of its plans, and what the plans are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_resumes
from planners import KIND, A, moments, part
from policies import STATE, TORQUES, RandomStore, method_config, spec_of, trajectories_of
from torch import Tensor

from pipeline.config.schema import MethodConfig
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.methods import make
from pipeline.methods.trajectory_transformer import TrajectoryTransformer
from pipeline.nn.token_planning import Beams, Planner
from pipeline.observations.windows import Windows
from pipeline.training import loop
from pipeline.training.resume import Resumption

N, GAMMA = 6, 0.9
LENGTHS, CUT = [8, 12, 10], 1
SMALL = {"width": 16, "layers": 2, "heads": 2, "bins": N, "discount": GAMMA, "context_length": 4}
PLAN = {"horizon": 3, "beams": 3, "expand": 2, "context": 2, "dropped": 0.3}


def recorded() -> Trajectories:
    """Three episodes; the second one was cut."""
    data = trajectories_of(LENGTHS, space=TORQUES)
    return replace(data, terminated=np.array([i != CUT for i in range(len(LENGTHS))]))


def learner_of(randomised: bool = True, **policy: Any) -> TrajectoryTransformer:
    torch.manual_seed(0)
    settings = {**SMALL, "planner": PLAN, **policy}
    learner = make(
        method_config("trajectory_transformer", **settings),
        spec_of(KIND, {"trajectories": recorded()}),
    )
    assert isinstance(learner, TrajectoryTransformer)
    if randomised:
        for parameter in learner.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return learner.eval()


def windows_of(learner: TrajectoryTransformer) -> Windows:
    data = recorded()
    store = RandomStore(KIND, len(data.actions))
    assert data.observations is not None
    store.observation["state"] = torch.from_numpy(data.observations)[None]
    return Windows(data, store, TORQUES, 10.0, learner.settings)


# Tokens.


def test_values_are_discounted_sums_and_a_cut_goes_on() -> None:
    learner, data = learner_of(), recorded()
    for episode, (start, length) in enumerate(zip(data.starts.tolist(), LENGTHS, strict=True)):
        rewards = data.rewards[start : start + length].astype(np.float64)
        beyond = rewards.mean() / (1 - GAMMA) if episode == CUT else 0.0
        for t in range(length):
            later = sum(GAMMA**k * r for k, r in enumerate(rewards[t + 1 :]))
            expected = later + GAMMA ** (length - t - 1) * beyond
            assert float(learner.recorded_values[start + t]) == pytest.approx(expected, rel=1e-4)


def test_what_follows_an_end_is_its_token_and_after_a_cut_nothing_is_learned() -> None:
    learner, data = learner_of(), recorded()
    ends = data.starts + data.episode_length - 1
    of, before = (learner.targets(windows_of(learner).batch(x)) for x in (ends, ends - 2))
    assert of.mask.all()
    assert of.following[[0, 2], -1].tolist() == [N, N]
    assert of.followed[:, -1].tolist() == [True, False, True]
    assert torch.equal(of.following[:, :-1], of.tokens[:, 1:, 0])
    assert (of.tokens < N).all()
    after = learner.bins.tokens(torch.from_numpy(data.observations[ends - 1]))  # type: ignore[index]
    assert before.followed[:, -1].all()  # the last place is not followed by ends alone
    assert before.following[:, -1].tolist() == after[:, 0].tolist()


@pytest.mark.parametrize("placing", ["ends", "starts"])
def test_tokens_are_those_of_their_own_steps(placing: Any) -> None:
    learner, data = learner_of(), recorded()
    steps = np.arange(len(data.actions))
    batch = windows_of(learner).placed(steps, placing)
    of = learner.targets(batch)
    assert data.observations is not None
    values = learner.recorded_values.numpy()[:, None]
    whole = np.concatenate((data.observations, data.actions, data.rewards[:, None], values), axis=1)
    tokens = learner.bins.tokens(torch.from_numpy(whole))
    for row, last in enumerate(batch.index.tolist()):
        for k in range(4):
            if of.mask[row, k]:
                assert torch.equal(of.tokens[row, k], tokens[last - 3 + k])


def test_padding_changes_no_loss() -> None:
    learner = learner_of()
    batch = windows_of(learner).batch(np.array([1, 9, 21]))  # with padding on the left
    filled = batch.observation["state"] + 7.0 * ~batch.mask[..., None]
    other = replace(batch, observation={"state": filled}, rewards=batch.rewards + 3.0 * ~batch.mask)
    assert not batch.mask.all()
    ((_, before),) = learner.losses(batch, 0)
    ((_, after),) = learner.losses(other, 0)
    torch.testing.assert_close(before, after)


def test_no_token_is_predicted_from_itself_or_a_later_one_and_values_are_never_read() -> None:
    learner = learner_of()
    tokens = learner.targets(windows_of(learner).batch(np.array([7]))).tokens
    mask = torch.ones(1, 4, dtype=torch.bool)
    columns = learner.columns.count - 1
    with torch.no_grad():
        within, following = learner.model(tokens[..., :-1], mask)
        for step, column in [(0, 0), (1, 3), (2, columns - 1), (3, 0)]:
            other = tokens.clone()
            other[0, step, column] = (other[0, step, column] + 1) % N
            changed, after = learner.model(other[..., :-1], mask)
            different = (changed != within).any(dim=-1)[0]  # (K, J − 1): of columns 1 … J − 1
            assert not different[:step].any()
            assert not different[step, :column].any()
            assert different[step, column:].all()
            moved = (after != following).any(dim=-1)[0]
            assert not moved[:step].any()
            assert moved[step:].all()


# Losses.


def test_the_loss_is_the_weighted_mean_over_all_tokens() -> None:
    learner = learner_of(action_weight=3.0)
    batch = windows_of(learner).batch(np.array([1, 5, 19]))
    ((_, loss),) = learner.losses(batch, 0)
    nats = learner.nats(batch)
    total, count = 0.0, 0
    for name, (errors, real) in nats.items():
        weight = 3 if name == "action" else 1
        total += weight * float((errors * real).detach().sum())
        count += int(real.sum())
    assert loss.item() == pytest.approx(total / count, rel=1e-5)
    ((_, smoothed),) = learner_of(action_weight=3.0, target_width=1.0).losses(batch, 0)
    assert smoothed != loss


def test_noise_changes_only_the_states_that_are_read() -> None:
    learner = learner_of(bins=50)
    batch = windows_of(learner).batch(np.array([7, 11]))
    clean, noisy = learner.targets(batch), learner.targets(batch, noise=0.5)
    assert torch.equal(clean.tokens, noisy.tokens)
    assert torch.equal(clean.following, noisy.following)
    changed = (clean.read != noisy.read).float().mean(dim=(0, 1))
    assert changed[:STATE].min() > 0.2
    assert changed[STATE:].max() == 0


def test_one_batch_can_be_overfitted() -> None:
    learner = learner_of(randomised=False, width=64, dropout=0.0).train()
    batch = windows_of(learner).batch(np.array([7, 11, 15, 29]))
    optimizer = torch.optim.AdamW(learner.parameters(), 0.003)
    for step in range(150):
        ((_, loss),) = learner.losses(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    means = learner.read(batch)[1]  # a window's first state is not predicted, so all can be known
    assert max(each.item() for each in means.values()) < 0.15


# Plans.


def planner_of(learner: TrajectoryTransformer) -> Planner:
    return Planner(learner.model, learner.columns, learner.settings.planner, GAMMA)


@pytest.mark.parametrize("context_length", [2, 4])
def test_cached_logits_equal_a_pass_over_the_whole_sequence(context_length: int) -> None:
    """Also after rows are selected, and beyond the span of attention."""
    learner = learner_of(context_length=context_length)
    model, columns = learner.model, learner.columns.count - 1
    whole = torch.randint(0, N, (4, 5, columns), generator=torch.Generator().manual_seed(0))
    beginning = columns + STATE  # the first step and the second one's state
    flat = whole.flatten(1)
    flat[[1, 3], :beginning] = flat[[0, 2], :beginning]  # two rows go on from each beginning
    with torch.no_grad():
        within, following = model(whole, torch.ones(4, 5, dtype=torch.bool))
        hidden, past = model.begin(flat[[0, 2], :beginning])
        rows = torch.tensor([0, 0, 1, 1])
        hidden, past = hidden[rows], past.select(rows)
        for place in range(beginning, 5 * columns):
            step, column = divmod(place - 1, columns)
            if column == columns - 1:
                told = model.predict(hidden, 0), model.predict(hidden, columns)
                torch.testing.assert_close(told[0], following[:, step], atol=1e-5, rtol=1e-4)
                torch.testing.assert_close(told[1], within[:, step, -1], atol=1e-5, rtol=1e-4)
            else:
                logits = model.predict(hidden, column + 1)
                torch.testing.assert_close(logits, within[:, step, column], atol=1e-5, rtol=1e-4)
            if place == 3 * columns:  # other rows in another order, one of them twice
                order = torch.tensor([3, 0, 0, 2])
                hidden, past = hidden[order], past.select(order)
                whole, within, following = (x[order] for x in (whole, within, following))
            hidden, past = past.feed(whole.flatten(1)[:, place], place % columns)


def test_plans_are_scored_as_a_pass_over_the_whole_plan_scores_them() -> None:
    learner = learner_of()
    planner, columns = planner_of(learner), learner.columns
    seen = torch.randint(0, N, (2, STATE), generator=torch.Generator().manual_seed(1))
    fed: list[Tensor] = []
    with torch.no_grad():
        learner.model.biases[0, N] = -1e4  # no end is imagined
        beams = planner.begin(seen)
        feed = type(beams.past).feed

        def noted(self: Any, tokens: Tensor, column: int) -> Any:
            fed.append(tokens)
            return feed(self, tokens, column)

        type(beams.past).feed = noted  # type: ignore[method-assign]
        try:
            scores = []
            for step in range(3):
                beams, _, score = planner.grow(beams, torch.randn(A, 2))
                scores.append(score)
                ended = beams.ended
                beams = planner.settle(beams) if step < 2 else beams
        finally:
            type(beams.past).feed = feed  # type: ignore[method-assign]
        assert not ended.any()
        tokens = torch.cat((seen, torch.stack(fed, dim=1)), dim=1).view(2, 3, -1)
        within, _ = learner.model(tokens, torch.ones(2, 3, dtype=torch.bool))
        bins = learner.bins
        paid = torch.zeros(2)
        for t in range(3):
            reward = within[:, t, columns.reward - 1, :N].softmax(-1) @ bins.means[columns.reward]
            value = within[:, t, columns.value - 1, :N].softmax(-1) @ bins.means[columns.value]
            paid += GAMMA**t * reward
            torch.testing.assert_close(scores[t], paid + GAMMA ** (t + 1) * value)
    assert torch.equal(beams.first, tokens[:, 0, STATE : STATE + A])


def test_after_an_imagined_end_nothing_is_paid() -> None:
    learner = learner_of()
    with torch.no_grad():
        learner.model.biases[0, N] = 1e4  # every step ends the episode
        planner = planner_of(learner)
        beams = planner.begin(torch.zeros(2, STATE, dtype=torch.int64))
        beams, *_ = planner.grow(beams, torch.randn(A, 2))
        paid = beams.paid
        beams, _, score = planner.grow(planner.settle(beams), torch.randn(A, 2))
    assert beams.ended.all()
    torch.testing.assert_close(score, paid)


def test_of_many_plans_the_best_is_played() -> None:
    """One step, and every action that may be drawn is: the search is exhaustive."""
    learner = learner_of(planner={**PLAN, "horizon": 1, "beams": 400, "dropped": 0.0, "context": 1})
    (now, *_) = moments(2, 1)
    with torch.no_grad():
        action, _ = learner.act(now, learner.start(2))
        seen = learner.bins.tokens(now.observation["state"][:, 0])
        scores = {}
        for tokens in np.ndindex(N, N):
            taken = torch.tensor([tokens, tokens])
            step = torch.cat((seen, taken, torch.zeros(2, 1, dtype=torch.int64)), dim=1)[:, None]
            mask = torch.ones(2, 1, dtype=torch.bool)
            within, _ = learner.model(step, mask)
            logits = within[:, 0, STATE + A - 1, :N]
            step[:, 0, -1] = logits.argmax(-1)
            within, _ = learner.model(step, mask)
            scores[tokens] = learner.bins.expected(logits, STATE + A) + GAMMA * (
                learner.bins.expected(within[:, 0, -1, :N], STATE + A + 1)
            )
        for row in range(2):
            best = max(scores, key=lambda each: float(scores[each][row]))
            expected = learner.bins.values(torch.tensor(best), STATE)
            torch.testing.assert_close(action[row], expected)


def test_without_a_horizon_it_does_what_is_most_probable() -> None:
    learner = learner_of(planner={**PLAN, "horizon": 0, "context": 1})
    (now, *_) = moments(2, 1)
    with torch.no_grad():
        action, _ = learner.act(now, learner.start(2))
        step = torch.zeros(2, 1, STATE + A + 1, dtype=torch.int64)
        step[:, 0, :STATE] = learner.bins.tokens(now.observation["state"][:, 0])
        for i in range(A):
            within, _ = learner.model(step, torch.ones(2, 1, dtype=torch.bool))
            step[:, 0, STATE + i] = within[:, 0, STATE + i - 1, :N].argmax(-1)
    expected = learner.bins.values(step[:, 0, STATE : STATE + A], STATE)
    torch.testing.assert_close(action, expected)


@pytest.mark.parametrize("context", [1, 2, 4])
def test_no_plan_depends_on_the_other_episodes(context: int) -> None:
    learner = learner_of(planner={**PLAN, "context": context})
    rows, state, own = [2, 0], learner.start(4), learner.start(2)
    with torch.no_grad():
        for now in moments(4, 4):
            together, state = learner.act(now, state)
            alone, own = learner.act(part(now, rows), own)
            torch.testing.assert_close(together[rows], alone)
        # and who goes on after others have ended plays as if alone
        (*_, later) = moments(4, 5)
        after, _ = learner.act(part(later, rows), state.select(torch.tensor(rows)))
        expected, _ = learner.act(part(later, rows), own)
    torch.testing.assert_close(after, expected)


def test_what_is_remembered_is_what_was_seen_and_done() -> None:
    learner = learner_of(planner={**PLAN, "context": 3})
    state = learner.start(2)
    all_moments = moments(2, 5)
    with torch.no_grad():
        for now in all_moments:
            _, state = learner.act(now, state)
    assert state.steps is not None
    assert state.steps.shape == (2, 2, STATE + A + 1)
    told = torch.cat(
        (
            all_moments[3].observation["state"][:, 0],
            all_moments[4].previous_action[:, 0],
            all_moments[4].previous_reward,
        ),
        dim=-1,
    )
    assert torch.equal(state.steps[:, -1], learner.bins.tokens(told))


# As a method.


def trained(steps: int, saved: Resumption | None = None) -> tuple[TrajectoryTransformer, list[Any]]:
    training = {
        **{"steps": steps, "batch_size": 6, "warmup_steps": 1, "evaluate_every": 4},
        **{"held_out_fraction": 0.3, "windows": "starts", "weight_average": 0.5},
    }
    config = MethodConfig.model_validate({"method": "trajectory_transformer", "training": training})
    learner = learner_of(randomised=False, dropout=0.1).train()
    return learner, loop.train(learner, windows_of(learner), config.training, 0, saved=saved)


def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, curve = assert_resumes(trained, tmp_path, monkeypatch)
    names = {f"held_out_{name}_nats" for name in ("state", "action", "reward", "value")}
    assert names <= set(curve[0].held_out)


def test_a_checkpoint_needs_no_recorded_steps() -> None:
    learner = learner_of()
    assert "recorded_values" not in learner.state_dict()
    alone = make(
        method_config("trajectory_transformer", **SMALL, planner=PLAN), spec_of(KIND)
    ).eval()
    alone.load_state_dict(learner.state_dict())
    (now, *_) = moments(2, 1)
    with torch.no_grad():
        action = learner.act(now, learner.start(2))[0]
        torch.testing.assert_close(action, alone.act(now, alone.start(2))[0])
    assert (action.abs() <= torch.tensor(TORQUES.high)).all()


def test_discrete_actions_are_refused() -> None:
    with pytest.raises(PipelineError, match="its actions are discrete, and this method is for"):
        make(method_config("trajectory_transformer"), spec_of("decision_transformer"))


def test_a_plan_s_rows_carry_all_that_belongs_to_them() -> None:
    learner = learner_of()
    beams = planner_of(learner).begin(torch.zeros(3, STATE, dtype=torch.int64))
    beams = replace(beams, paid=torch.tensor([0.0, 1.0, 2.0]), first=torch.eye(3, A).long())
    chosen = beams.select(torch.tensor([2, 2]))
    assert isinstance(chosen, Beams)
    assert chosen.paid.tolist() == [2.0, 2.0]
    assert torch.equal(chosen.first, beams.first[[2, 2]])


def test_many_tokens_are_fed_without_a_selection() -> None:
    """More than buffers have room for, so that they are made anew on the way."""
    learner = learner_of(context_length=2)
    model, columns = learner.model, learner.columns.count - 1
    whole = torch.randint(0, N, (3, 9, columns), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        within, _ = model(whole, torch.ones(3, 9, dtype=torch.bool))
        hidden, past = model.begin(whole[:, 0])
        for place in range(columns, 9 * columns):
            hidden, past = past.feed(whole.flatten(1)[:, place], place % columns)
            step, column = divmod(place, columns)
            logits = model.predict(hidden, column + 1)
            torch.testing.assert_close(logits, within[:, step, column], atol=1e-5, rtol=1e-4)
