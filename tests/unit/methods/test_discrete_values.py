"""QR-DQN, REM and CQL of discrete actions: their losses against closed forms, and all of them on a
chain whose values are known.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chain import DISCOUNT, SPACE, SPEC, STATES, chain, true_values
from interruption import assert_same_weights, killed
from policies import TEXT, TORQUES, VECTOR, moment_of, spec_of
from policies import batch_of as tokens_of
from torch.nn import functional

from pipeline.config.schema import MethodConfig, TrainingConfig
from pipeline.data.statistics import discounted_returns
from pipeline.errors import PipelineError
from pipeline.methods import Spec, make
from pipeline.methods.cql import gap
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import NStep
from pipeline.observations.windows import Windows
from pipeline.training.curve import CurveRow
from pipeline.training.held_out_metrics import draw_held_out
from pipeline.training.loop import train
from pipeline.training.resume import Resumption

SMALL = {"width": 32, "discount": DISCOUNT, "clip_rewards": False, "target_every": 10}
OWN: dict[str, dict[str, Any]] = {
    "qr_dqn": {"quantiles": 4},
    "rem": {"value_heads": 4},
    "cql": {"quantiles": 4},
}
METHODS = list(OWN)
TRAINING = TrainingConfig.model_validate(
    {"steps": 250, "batch_size": 64, "learning_rate": 0.02, "warmup_steps": 1, "weight_decay": 0}
    | {"final_learning_rate": 0.0, "evaluate_every": 250, "gradient_clip": 10}
)


def learner_of(method: str, **policy: Any) -> Any:
    settings = SMALL | OWN[method] | policy
    torch.manual_seed(0)
    return make(MethodConfig.model_validate({"method": method, "policy": settings}), SPEC)


def windows_of(learner: Any, only_right: bool = False) -> Windows:
    data, store = chain(only_right=only_right)
    return Windows(data, store, SPACE, 1.0, learner.settings)


def batch_of(learner: Any, steps: int = 24) -> Batch:
    return windows_of(learner).batch(np.arange(steps))


def values_of(learner: Any) -> torch.Tensor:
    """Q(s, a) of every state, (states, actions)."""
    with torch.no_grad():
        values: torch.Tensor = learner.policy({"state": torch.eye(STATES)[:, None]})
    return values[:, 0].mean(dim=-1)


@pytest.mark.parametrize(("method", "n"), [("qr_dqn", 1), ("rem", 1), ("rem", 3)])
def test_the_mean_is_the_chain_s_known_value(method: str, n: int) -> None:
    """With several steps it is that of walks that are random for so long, so less than the best."""
    learner = learner_of(method, n_step=n)
    long = TRAINING.model_copy(update={"steps": 700, "evaluate_every": 700})
    curve = train(learner, windows_of(learner), long, seed=0)
    found = values_of(learner).numpy()
    assert curve[-1].held_out["held_out_td_error"] < (1e-3 if n == 1 else 0.1)
    if n == 1:
        np.testing.assert_allclose(found, true_values(), atol=0.01)
    else:
        assert (found < true_values() + 0.02).all()
        assert found.argmax(axis=1).tolist() == [1] * STATES


def test_cql_holds_down_what_was_not_recorded() -> None:
    differences = {}
    for weight in (0.0, 1.0):
        learner = learner_of("cql", conservative_weight=weight)
        short = TRAINING.model_copy(update={"steps": 100, "evaluate_every": 100})
        train(learner, windows_of(learner, only_right=True), short, seed=0)
        unseen, seen = values_of(learner).unbind(dim=1)
        differences[weight] = (seen - unseen).min().item()
    assert differences[1.0] > differences[0.0] + 0.5  # without the term it stays where it began


@pytest.mark.parametrize("method", METHODS)
def test_training_hides_the_prompt_of_some_windows_and_play_of_none(method: str) -> None:
    """The first tokens of a step; regions are always seen."""
    settings = SMALL | OWN[method] | {"observation": "embeddings", "history_dropout": 0.5}
    config = MethodConfig.model_validate({"method": method, "policy": settings})
    learner: Any = make(config, spec_of("more3s", {"text_tokens": TEXT}))
    mask = torch.ones(400, 1, TEXT + 3, dtype=torch.bool)
    mask[:, :, -1] = False  # padding
    torch.manual_seed(0)
    seen = learner.train().visible(mask)
    assert seen[:, :, TEXT:].equal(mask[:, :, TEXT:])
    prompts = seen[:, 0, :TEXT]
    assert prompts.all(dim=1).equal(prompts.any(dim=1))  # whole
    assert 150 < prompts.any(dim=1).sum() < 250
    assert learner.eval().visible(mask).equal(mask)


def test_a_hidden_prompt_changes_no_value_that_is_learned_and_the_goal_as_before() -> None:
    settings = SMALL | OWN["cql"] | {"observation": "embeddings", "history_dropout": 1.0}
    config = MethodConfig.model_validate({"method": "cql", "policy": settings})
    learner: Any = make(config, spec_of("more3s", {"text_tokens": TEXT})).train()
    batch = replace(tokens_of("more3s", 4, 2), ahead=1)
    tokens = batch.observation["tokens"].clone()
    tokens[:, :, :TEXT] += 1
    other = replace(batch, observation={**batch.observation, "tokens": tokens})
    told = learner.horizon(batch)
    with torch.no_grad():
        (values, after), (same, apart) = (learner.values(each, told) for each in (batch, other))
    torch.testing.assert_close(values, same)
    assert (after - apart).abs().max() > 1e-4


def test_the_gap_is_the_cross_entropy_of_the_values() -> None:
    torch.manual_seed(0)
    q, actions = torch.randn(6, 1, 3), torch.randint(0, 3, (6, 1))
    by_hand = q.logsumexp(dim=-1) - q.gather(-1, actions[..., None])[..., 0]
    torch.testing.assert_close(gap(q, actions), by_hand)
    expected = functional.cross_entropy(q[:, 0], actions[:, 0])
    torch.testing.assert_close(gap(q, actions).mean(), expected)


def test_rem_with_equal_heads_is_dqn_whatever_the_mixture() -> None:
    learner = learner_of("rem").train()
    batch = batch_of(learner)
    told = learner.horizon(batch)
    torch.manual_seed(3)
    values, after = (torch.randn(24, 1, 2, 1).expand(-1, -1, -1, 4) for _ in range(2))
    found = learner.error(values, after, batch, told)
    taken = values[..., 0].gather(-1, batch.actions[:, batch.context][..., None])[..., 0]
    goal = told.rewards + told.discounts * after[..., 0].amax(dim=-1)
    torch.testing.assert_close(found, functional.huber_loss(taken, goal, reduction="none"))


def test_rem_mixes_both_networks_alike_and_anew_in_every_update(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learner = learner_of("rem").train()
    mixtures = [learner.mixture() for _ in range(50)]
    for mixture in mixtures:
        assert mixture.sum().item() == pytest.approx(1)
        assert (mixture >= 0).all()
    assert torch.stack(mixtures).std(dim=0).min() > 0.05
    torch.testing.assert_close(learner.eval().mixture(), torch.full((4,), 0.25))
    batch, alone = batch_of(learner), torch.tensor([0.0, 0.0, 1.0, 0.0])
    monkeypatch.setattr(learner, "mixture", lambda: alone)
    told = learner.horizon(batch)
    values, after = torch.randn(24, 1, 2, 4), torch.randn(24, 1, 2, 4)
    found = learner.error(values, after, batch, told)
    values, after = (torch.where(alone == 1, x, torch.nan).nan_to_num(9) for x in (values, after))
    torch.testing.assert_close(found, learner.error(values, after, batch, told))


def test_quantiles_learn_the_spread_of_the_return() -> None:
    """Of an action that pays 0 or 2, each half of the time. Huber's loss draws the quarters from
    the ends: (1 − τ) θ = τ, so θ = 1/3 at τ = 1/4.
    """
    learner = learner_of("qr_dqn", quantiles=2)
    batch = batch_of(learner, 2)
    batch.actions[:] = 1
    ends = NStep(
        rewards=torch.tensor([[0.0], [2.0]]),
        discounts=torch.zeros(2, 1),
        next=torch.zeros(2, 1, dtype=torch.int64),
        mask=torch.ones(2, 1, dtype=torch.bool),
    )
    values, after = torch.zeros(1, 1, 2, 2, requires_grad=True), torch.zeros(2, 1, 2, 2)
    for _ in range(100):
        error = learner.error(values.expand(2, -1, -1, -1), after, batch, ends)
        (slope,) = torch.autograd.grad(error.sum(), values)
        values.data -= 0.5 * slope
    assert values[0, 0, 1].tolist() == pytest.approx([1 / 3, 5 / 3], abs=0.01)
    assert values[0, 0, 0].tolist() == [0, 0]  # what was not done learns nothing


@pytest.mark.parametrize("method", METHODS)
def test_the_target_network_is_a_copy_made_now_and_then_without_gradient(method: str) -> None:
    learner = learner_of(method, target_every=3)
    assert not any(each.requires_grad for each in learner.target.parameters())
    batch = batch_of(learner)
    for step in range(6):
        for _, loss in learner.losses(batch, step):
            loss.backward()
            with torch.no_grad():
                for each in learner.policy.parameters():
                    each -= 0.01 * each.grad
                    each.grad = None
        pairs = zip(learner.policy.parameters(), learner.target.parameters(), strict=True)
        equal = all(torch.equal(ours, theirs) for ours, theirs in pairs)
        assert equal == (step in (2, 5))


def test_rewards_are_clipped_before_they_are_added() -> None:
    learner = learner_of("qr_dqn", clip_rewards=True, n_step=2)
    batch = batch_of(learner)
    batch.rewards.fill_(5.0)
    told = learner.horizon(batch)
    both = told.discounts > 0
    assert both.any()
    assert told.rewards[both].max().item() == pytest.approx(1 + DISCOUNT)


@pytest.mark.parametrize("clipped", [True, False])
def test_returns_beside_values_are_clipped_as_rewards_are(clipped: bool) -> None:
    learner = learner_of("qr_dqn", clip_rewards=clipped)
    data, store = chain()
    data = replace(data, rewards=3 * data.rewards, score=3 * data.score)
    windows = Windows(data, store, SPACE, 1.0, learner.settings)
    held_out = draw_held_out(windows, TRAINING, seed=0)
    paid = data.rewards.clip(-1, 1) if clipped else data.rewards
    steps = np.concatenate([batch.index.numpy() for batch in held_out.batches])
    expected = discounted_returns(data, DISCOUNT, paid)[steps].mean()
    assert held_out.monte_carlo == pytest.approx(expected)


@pytest.mark.parametrize("method", METHODS)
def test_one_batch_can_be_learned_by_heart(method: str) -> None:
    learner = learner_of(method, target_every=1000)
    batch = batch_of(learner)
    if method == "cql":
        batch.actions[:, 0] = batch.observation["state"][:, 0].argmax(dim=-1) % 2
    optimizer = torch.optim.Adam(learner.policy.parameters(), 0.02)
    for step in range(150):
        for _, loss in learner.losses(batch, step):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    q, means = learner.eval().read(batch)
    if method == "cql":  # whose values are no returns then
        assert torch.equal(q.argmax(dim=-1), batch.actions[:, :1])
    else:
        assert means["td_error"] < 5e-3


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_training_ends_with_the_same_bytes(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = TRAINING.model_copy(update={"steps": 12, "evaluate_every": 4})
    whole, curve = _trained(method, short)
    saved = Resumption(tmp_path / "policy", "this one", every=2)
    with killed(monkeypatch, 7):
        _trained(method, short, saved)
    assert saved.waiting
    resumed, again = _trained(method, short, saved)
    assert again == curve
    assert_same_weights(whole, resumed)


def _trained(
    method: str, training: TrainingConfig, saved: Resumption | None = None
) -> tuple[Any, list[CurveRow]]:
    learner = learner_of(method)
    return learner, train(learner, windows_of(learner), training, seed=0, saved=saved)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_read_and_what_is_played_is_the_largest_mean(method: str) -> None:
    learner = learner_of(method).eval()
    batch = batch_of(learner)
    q, means = learner.read(batch)
    assert q.shape == (24, 1, 2)
    assert set(means) >= {"loss", "td_error", "q"}
    played, _ = learner.act(moment_of(batch, 0), learner.start(24))
    assert played.dtype == torch.int64
    assert torch.equal(played, q[:, 0].argmax(dim=-1))


@pytest.mark.parametrize("method", ["qr_dqn", "rem"])
def test_continuous_actions_are_refused(method: str) -> None:
    config = MethodConfig.model_validate({"method": method, "policy": SMALL | OWN[method]})
    with pytest.raises(PipelineError, match="Hopper: its actions are continuous"):
        make(config, Spec(("Hopper",), (TORQUES,), VECTOR, {}))


@pytest.mark.parametrize(("method", "key"), [("qr_dqn", "quantiles"), ("rem", "value_heads")])
def test_an_ensemble_of_one_is_refused(method: str, key: str) -> None:
    with pytest.raises(ValueError, match=key):
        MethodConfig.model_validate({"method": method, "policy": {key: 1}})
