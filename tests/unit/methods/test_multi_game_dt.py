"""Multi-Game Decision Transformer: who sees whom, which return is told, and how an expert's is
drawn.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_resumes
from policies import (
    TORQUES,
    RandomStore,
    batch_of,
    method_config,
    moment_of,
    others,
    padded,
    space_of,
    spec_of,
    trajectories_of,
)
from torch import Tensor, nn
from two_games import of_two_games, two_games

from pipeline.config.schema import MethodConfig
from pipeline.data.statistics import clipped_returns
from pipeline.errors import PipelineError
from pipeline.methods import Moment, Spec, make
from pipeline.methods.multi_game_dt import MultiGameDecisionTransformer
from pipeline.nn.masking import first_real
from pipeline.nn.recent_steps import RecentSteps
from pipeline.nn.reward_tokens import reward_tokens
from pipeline.observations.batch import Batch
from pipeline.observations.windows import Windows
from pipeline.training import loop
from pipeline.training.resume import Resumption

KIND = "decision_transformer"
"""Test data with frames and three actions."""
EXACT = {"atol": 1e-5, "rtol": 1e-5}
LENGTHS, PATCHES = [4, 9, 6, 20], 36


def learner_of(
    randomised: bool = True, spec: Spec | None = None, **policy: Any
) -> MultiGameDecisionTransformer:
    torch.manual_seed(0)
    settings = {"context_length": 4, "dropout": 0.0, **policy}
    learner = make(method_config("multi_game_dt", **settings), spec or spec_of(KIND, recorded()))
    assert isinstance(learner, MultiGameDecisionTransformer)
    if randomised:
        for parameter in learner.parameters():
            if parameter.dim() < 4:
                nn.init.normal_(parameter, std=0.3)
    return learner.eval()


def recorded() -> dict[str, Any]:
    return {"trajectories": trajectories_of(LENGTHS)}


def window(steps: int = 4, batch: int = 2, seed: int = 1) -> Batch:
    """Windows that end late enough in the recorded steps, with all kinds of rewards."""
    made = batch_of(KIND, batch, steps, seed=seed)
    rewards = torch.randint(-1, 3, (batch, steps)).float()
    return replace(made, rewards=rewards, index=torch.arange(batch) + 25)


def hidden(learner: MultiGameDecisionTransformer, batch: Batch, returns: Tensor) -> Tensor:
    """Of all tokens, (B, S, 39, width), for bins of returns (B, S)."""
    first, steps = first_real(batch.mask), batch.mask.shape[1]
    seen = learner.seen(batch, batch.timesteps)
    rewards = reward_tokens(batch.rewards, batch.terminal)
    x = learner.tokens(seen, returns, first, batch.actions, rewards)
    visible = learner.visible(batch.mask, first)
    with torch.no_grad():
        out, _ = learner.transformer(x, learner.positions(steps), visible)
    return out.unflatten(1, (steps, -1))


def bins(batch: Batch, value: int = 30) -> Tensor:
    return torch.full_like(batch.mask, value, dtype=torch.int64)


def test_patches_of_a_picture_see_each_other_and_nothing_that_follows() -> None:
    learner, batch = learner_of(), window()
    before, told = hidden(learner, batch, bins(batch)), bins(batch)
    frames = batch.observation["frames"].clone()
    frames[:, 1, :, 70:, 70:] = 255 - frames[:, 1, :, 70:, 70:]  # the last patch of a picture
    after = hidden(learner, replace(batch, observation={"frames": frames}), told)
    change = (after - before).abs().amax(dim=-1)  # (B, S, 39)
    assert change[:, 0].max() < 1e-5
    assert change[:, 1, :PATCHES].min() > 1e-4  # the patches before it too
    assert change[:, 2:].min() > 1e-5
    for name, place in (("actions", PATCHES + 1), ("rewards", PATCHES + 2)):
        value = getattr(batch, name).clone()
        value[:, 1] = others(value[:, 1].long()) if name == "actions" else -value[:, 1] - 0.5
        after = hidden(learner, replace(batch, **{name: value}), told)
        change = (after - before).abs().amax(dim=-1)
        assert change[:, 1, :place].max() < 1e-5
        assert change[:, 0].max() < 1e-5
        assert change[:, 1, place:].min() > 1e-5
        assert change[:, 2:].min() > 1e-6


def test_a_mask_without_the_block_would_be_seen() -> None:
    """The test above can fail: tokens in an order of their own see only those before them."""
    learner, batch = learner_of(), window()
    learner.positions = lambda steps: type(places)(torch.arange(39 * steps), places.step)  # type: ignore[method-assign]
    places = MultiGameDecisionTransformer.positions(learner, 4)
    frames = batch.observation["frames"].clone()
    frames[:, 1, :, 70:, 70:] = 255 - frames[:, 1, :, 70:, 70:]
    changed = replace(batch, observation={"frames": frames})
    change = hidden(learner, changed, bins(batch)) - hidden(learner, batch, bins(batch))
    assert change[:, 1, : PATCHES - 1].abs().max() < 1e-5


@pytest.mark.parametrize("pad", [0, 1])
def test_only_the_first_return_of_a_window_is_told(pad: int) -> None:
    learner = learner_of()
    batch = padded(window(3), pad, value=1)
    plain = hidden(learner, batch, bins(batch))
    for step in range(3):
        told = bins(batch)
        told[:, pad + step] = 90
        change = (hidden(learner, batch, told) - plain)[:, pad:].abs().amax(dim=-1)
        if step > 0:
            assert change.max() == 0
            continue
        assert change[:, 0, :PATCHES].max() < 1e-5  # where it is read itself it is not seen
        assert change[:, 0, PATCHES:].min() > 1e-4
        assert change[:, 1:].min() > 1e-6


def test_only_the_first_return_of_a_window_is_learned() -> None:
    learner, batch = learner_of(return_weight=0.5, reward_weight=3.0), window()
    mask = torch.tensor([[True] * 4, [False, False, True, True]])
    batch = replace(batch, mask=mask)
    read, errors = learner.errors(batch)
    first = torch.tensor([[True, False, False, False], [False, False, True, False]])
    assert torch.equal(errors["return"][1], first)
    assert torch.equal(errors["action"][1], mask)
    assert torch.equal(errors["reward"][1], mask)
    data = trajectories_of(LENGTHS)
    index = batch.index[:, None] + torch.arange(-3, 1)
    goals = learner.bins.encode(torch.from_numpy(clipped_returns(data))[index])
    out = hidden(learner, batch, goals)
    logits = learner.return_head(out[:, :, PATCHES - 1]).log_softmax(dim=-1)
    expected = -logits.gather(-1, goals[..., None])[..., 0]
    torch.testing.assert_close(errors["return"][0][first], expected[first], **EXACT)
    torch.testing.assert_close(read, learner.action_head(out[:, :, PATCHES]), **EXACT)
    (_, loss), *_ = learner.losses(batch, 0)
    means = {name: error[counts].mean() for name, (error, counts) in errors.items()}
    expected_loss = means["action"] + 0.5 * means["return"] + 3.0 * means["reward"]
    torch.testing.assert_close(loss, expected_loss)


def test_padding_changes_nothing() -> None:
    learner, batch = learner_of(), window()
    with torch.no_grad():
        for value in (0, 1):
            other = padded(batch, 2, value)
            torch.testing.assert_close(
                learner.read(batch)[0], learner.read(other)[0][:, 2:], **EXACT
            )
            torch.testing.assert_close(
                learner.read(batch)[1]["loss"], learner.read(other)[1]["loss"], **EXACT
            )


def test_returns_are_of_clipped_rewards_within_each_episode() -> None:
    data = trajectories_of(LENGTHS)
    rewards = (data.rewards - 1) * np.arange(1, len(data.rewards) + 1, dtype="f4")
    score = np.add.reduceat(rewards.astype("f8"), data.starts)
    found = clipped_returns(replace(data, rewards=rewards, score=score))
    for start, length in zip(data.starts, data.episode_length, strict=True):
        for t in range(start, start + length):
            assert found[t] == np.sign(rewards[t : start + length]).sum()
    both = two_games(trajectories=data)
    assert learner_of(spec=both).clipped_returns.shape == (2 * len(data.rewards),)


def test_a_reward_is_nothing_a_point_the_end_or_a_loss() -> None:
    rewards, ended = torch.tensor([0.0, 25.0, -1.0, 3.0]), torch.tensor([False, False, False, True])
    assert reward_tokens(rewards, ended).tolist() == [0, 1, 3, 2]


def noisy(batch: Batch, t: int, seeds: list[int] | None = None) -> Moment:
    """A moment in which each episode has noise of its own."""
    seeds = list(range(len(batch.actions))) if seeds is None else seeds

    def noise(*shape: int) -> Tensor:
        own = [torch.Generator().manual_seed(100 * t + seed) for seed in seeds]
        return torch.stack([torch.randn(shape, generator=each) for each in own])

    return replace(moment_of(batch, t), noise=noise)


def played(learner: MultiGameDecisionTransformer, batch: Batch) -> Iterator[Tensor]:
    state = learner.start(len(batch.actions))
    for t in range(batch.actions.shape[1]):
        with torch.no_grad():
            logits, state = learner.act(noisy(batch, t), state)
        yield logits


@pytest.mark.parametrize("inference", ["bayes", "best_of_128"])
def test_acting_is_a_pass_over_the_window_for_the_return_that_was_drawn(inference: str) -> None:
    learner = learner_of(return_inference=inference, context_length=3, optimality=2.0)
    episode = replace(window(6, batch=3), terminal=torch.zeros(3, 6, dtype=torch.bool))
    for t, logits in enumerate(played(learner, episode)):
        steps = slice(max(0, t - 2), t + 1)
        names = ("actions", "rewards", "terminal", "timesteps", "mask")
        cut = {name: getattr(episode, name)[:, steps] for name in names}
        seen = {"frames": episode.observation["frames"][:, steps]}
        part = replace(episode, observation=seen, **cut)
        plain = hidden(learner, part, bins(part))
        from_noise = (1 + torch.erf(noisy(episode, t).noise(128) / 2**0.5)) / 2
        prior = learner.return_head(plain[:, 0, PATCHES - 1])
        drawn = learner.expert_return(prior, from_noise.double())
        out = hidden(learner, part, drawn[:, None].expand(-1, part.mask.shape[1]))
        torch.testing.assert_close(logits, learner.action_head(out[:, -1, PATCHES]), **EXACT)


def test_the_two_ways_to_infer_a_return_are_as_described() -> None:
    torch.manual_seed(1)
    logits, draws = 2 * torch.randn(121), 20_000
    uniforms = torch.rand(draws, 128).double()
    found = {}
    for name in ("bayes", "best_of_128"):
        learner = learner_of(return_inference=name)
        told = learner.expert_return(logits.expand(draws, -1), uniforms)
        found[name] = torch.bincount(told, minlength=121) / draws
    weights = (logits + 10 * torch.arange(121) / 120).exp()
    torch.testing.assert_close(found["bayes"], weights / weights.sum(), atol=0.015, rtol=0)
    cumulated = (0.75 * logits).softmax(dim=-1).cumsum(dim=-1) ** 128
    torch.testing.assert_close(found["best_of_128"].cumsum(dim=0), cumulated, atol=0.015, rtol=0)


def test_an_episode_decides_alone_as_in_a_batch() -> None:
    learner, batch, rows = learner_of(context_length=3), window(6, batch=4), [1, 3]
    names = ("actions", "previous_actions", "rewards", "returns_to_go", "timesteps", "task")
    kept: dict[str, Any] = {name: getattr(batch, name)[rows] for name in names}
    alone = replace(batch, observation={"frames": batch.observation["frames"][rows]}, **kept)
    state, single, left = learner.start(4), learner.start(2), RecentSteps()
    with torch.no_grad():
        for t in range(6):
            logits, state = learner.act(noisy(batch, t), state)
            own, single = learner.act(noisy(alone, t, rows), single)
            torch.testing.assert_close(logits[rows], own, **EXACT)
            if t == 4:
                left = state.select(torch.tensor(rows))
        torch.testing.assert_close(learner.act(noisy(alone, 5, rows), left)[0], own, **EXACT)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_each_game_is_played_by_actions_that_it_has(share: float) -> None:
    spec = two_games(**recorded())
    learner = learner_of(spec=spec, top_actions=share)
    batch = of_two_games(window(3, batch=4), spec)
    allowed = spec.allowed[batch.task]
    kept = [3, 4, 3, 4] if share == 1 else [2, 2, 2, 2]
    for logits in played(learner, batch):
        assert not (logits.isfinite() & ~allowed).any()
        assert logits.isfinite().sum(dim=-1).tolist() == kept
    (_, loss), *_ = learner.losses(batch, 0)
    loss.backward()
    assert loss.isfinite()
    assert all(x.grad is None or x.grad.isfinite().all() for x in learner.parameters())


def test_the_most_probable_actions_are_kept() -> None:
    learner = learner_of(top_actions=0.5)
    logits = torch.tensor([[0.1, 3.0, 2.0], [5.0, -1.0, 4.0]])
    kept = learner.most_probable(logits, torch.zeros(2, dtype=torch.int64))
    assert kept.isfinite().tolist() == [[False, True, True], [True, False, True]]


def test_continuous_actions_are_refused() -> None:
    spec = replace(spec_of(KIND), actions=(TORQUES,))
    with pytest.raises(PipelineError, match="its actions are continuous"):
        learner_of(spec=spec)


def windows_of(learner: MultiGameDecisionTransformer) -> Windows:
    store = RandomStore(KIND, sum(LENGTHS))
    return Windows(trajectories_of(LENGTHS), store, space_of(KIND), 10.0, learner.settings)


@pytest.mark.parametrize("pictures", ["squares", "convolutions"])
def test_one_batch_is_overfitted(pictures: str) -> None:
    known = {"pixel_mean": np.full((84, 84), 127.5), "pixel_std": 74.0}
    spec = spec_of(KIND, recorded() | known)
    learner = learner_of(randomised=False, spec=spec, pictures=pictures).train()
    batch = windows_of(learner).batch(np.array([3, 8, 12, 30]))
    optimizer = torch.optim.AdamW(learner.parameters(), 3e-3)
    for _ in range(150):
        read, means = learner.read(batch)
        if means["loss"].item() < 0.2:
            break
        optimizer.zero_grad()
        means["loss"].backward()
        optimizer.step()
    assert means["loss"].item() < 0.2
    assert torch.equal(read.argmax(dim=-1)[batch.mask], batch.actions[batch.mask])


def trained(steps: int, saved: Resumption | None = None) -> tuple[nn.Module, list[Any]]:
    training = {"steps": steps, "batch_size": 4, "warmup_steps": 1, "evaluate_every": 4}
    config = MethodConfig.model_validate({"method": "multi_game_dt", "training": training})
    learner = learner_of(randomised=False, dropout=0.2, history_dropout=0.5)
    return learner, loop.train(learner, windows_of(learner), config.training, 0, saved=saved)


def test_a_killed_training_of_returns_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, curve = assert_resumes(trained, tmp_path, monkeypatch)
    nats = {f"held_out_{name}_nats" for name in ("return", "action", "reward")}
    assert {"held_out_loss", "held_out_accuracy", *nats} <= set(curve[0].held_out)


def test_play_needs_no_recordings() -> None:
    learner, alone = learner_of(), learner_of(spec=spec_of(KIND))
    alone.load_state_dict(learner.state_dict())
    batch = window(3)
    for x, y in zip(played(learner, batch), played(alone, batch), strict=True):
        assert torch.equal(x, y)
