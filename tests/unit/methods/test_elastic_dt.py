"""Elastic Decision Transformer: what its heads see, and how it chooses how far to look back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_resumes
from planners import moment, part
from policies import (
    TEXT,
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
from pipeline.errors import PipelineError
from pipeline.methods import Spec, make
from pipeline.methods.elastic_dt import ElasticDecisionTransformer, Window
from pipeline.nn.masking import FORBIDDEN
from pipeline.nn.recent_steps import RecentSteps
from pipeline.nn.return_bins import drawn, of_experts, uniform
from pipeline.observations.batch import Batch
from pipeline.observations.windows import Windows
from pipeline.training import loop
from pipeline.training.resume import Resumption

STATES = "decision_transformer on states"
KINDS = {STATES: "states", "decision_transformer": "pixels", "more3s": "embeddings"}
"""Test data with torques and with discrete actions, and what is observed of them."""
EXACT = {"atol": 1e-5, "rtol": 1e-5}
LENGTHS, SCALE = [4, 9, 6, 20], 10.0


def learner_of(
    kind: str = STATES, randomised: bool = True, spec: Spec | None = None, **policy: Any
) -> ElasticDecisionTransformer:
    torch.manual_seed(0)
    settings = {"context_length": 4, "dropout": 0.0, "observation": KINDS[kind], **policy}
    config = method_config("elastic_dt", **settings)
    learner = make(config, spec or spec_of(kind, {"text_tokens": TEXT}))
    assert isinstance(learner, ElasticDecisionTransformer)
    if randomised:
        for parameter in learner.parameters():
            if parameter.dim() < 4:
                nn.init.normal_(parameter, std=0.3)
    return learner.eval()


def heads(learner: ElasticDecisionTransformer, batch: Batch) -> tuple[Tensor, ...]:
    """What is read at each step: a_t, logits of R̂_t, R̃_t, and next states."""
    states = learner.features(batch.observation)
    told = batch.returns_to_go, batch.actions, batch.timesteps, batch.mask
    at_state, at_return = learner.attend(Window(states, *told))
    read = learner.would(at_return, batch.task)
    return read, learner.return_head(at_state), learner.promise(at_state)


@pytest.mark.parametrize("kind", KINDS)
def test_no_step_sees_a_later_one_nor_what_it_is_to_read(kind: str) -> None:
    learner = learner_of(kind)
    batch, other = batch_of(kind, 2, 4), batch_of(kind, 2, 4, seed=9)

    def later(x: Tensor, y: Tensor, first: int) -> Tensor:
        return torch.cat((x[:, :first], y[:, first:]), dim=1)

    observed = {n: later(x, other.observation[n], 3) for n, x in batch.observation.items()}
    changed = replace(
        batch,
        observation=observed,
        actions=later(batch.actions, others(batch.actions), 2),
        returns_to_go=later(batch.returns_to_go, 1 - batch.returns_to_go, 3),
    )
    with torch.no_grad():
        before, after = heads(learner, batch), heads(learner, changed)
        for x, y in zip(before, after, strict=True):
            torch.testing.assert_close(x[:, :3], y[:, :3], **EXACT)
            assert (x[:, 3] - y[:, 3]).abs().max() > 1e-3
        # R̂_t itself is seen where a_t is read, and not where it is read itself
        told = replace(batch, returns_to_go=later(batch.returns_to_go, -batch.returns_to_go, 3))
        read, *returns = heads(learner, told)
        assert (read[:, 3] - before[0][:, 3]).abs().max() > 1e-3
        for x, y in zip(before[1:], returns, strict=True):
            torch.testing.assert_close(x, y, **EXACT)


@pytest.mark.parametrize("pad", [0, 2])
def test_of_returns_only_a_window_s_first_is_seen_later(pad: int) -> None:
    learner = learner_of()
    batch = padded(batch_of(STATES, 2, 4), pad, value=1)

    def changed(step: int) -> Batch:
        returns = batch.returns_to_go.clone()
        returns[:, pad + step] = -returns[:, pad + step]
        return replace(batch, returns_to_go=returns)

    with torch.no_grad():
        plain = [x[:, pad:] for x in heads(learner, batch)]
        first, second = ([x[:, pad:] for x in heads(learner, changed(i))] for i in (0, 1))
    assert all((x[:, 2:] - y[:, 2:]).abs().max() > 1e-4 for x, y in zip(plain, first, strict=True))
    for x, y in zip(plain, second, strict=True):
        torch.testing.assert_close(x[:, 2:], y[:, 2:], **EXACT)


def test_padding_changes_nothing() -> None:
    learner, batch = learner_of(), batch_of(STATES, 2, 4)
    with torch.no_grad():
        for value in (0, 1):
            other = padded(batch, 2, value)
            for x, y in zip(heads(learner, batch), heads(learner, other), strict=True):
                torch.testing.assert_close(x, y[:, 2:], **EXACT)
            means, again = learner.read(batch)[1], learner.read(other)[1]
            for name, mean in means.items():
                torch.testing.assert_close(mean, again[name], **EXACT)


def test_the_loss_is_the_weighted_sum_of_its_parts() -> None:
    weights = {"return_weight": 0.2, "expectile_weight": 0.7, "state_weight": 0.3}
    learner, batch = learner_of(**weights), batch_of(STATES, 3, 4)
    means = learner.read(batch)[1]
    assert set(means) == {"loss", "action_loss", "return_loss", "promise_loss", "state_loss"}
    parts = {"return": 0.2, "promise": 0.7, "state": 0.3, "action": 1.0}
    total = sum(weight * means[f"{name}_loss"] for name, weight in parts.items())
    torch.testing.assert_close(means["loss"], total)
    assert (
        "state_loss"
        not in learner_of("decision_transformer").errors(batch_of("decision_transformer", 2, 2))[1]
    )


def test_an_expectile_of_a_half_is_the_mean_and_one_near_1_the_most() -> None:
    batch = batch_of(STATES, 24, 1)
    batch = replace(batch, observation={"state": torch.ones_like(batch.observation["state"])})
    told = {}
    for expectile in (0.5, 0.99):
        learner = learner_of(randomised=False, expectile=expectile)
        optimizer = torch.optim.Adam(learner.promise_head.parameters(), 0.05)
        for _ in range(150):
            loss = learner.errors(batch)[1]["promise"][0].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            told[expectile] = float(learner.promise(learner.attend(window(learner, batch))[0])[0])
    returns = batch.returns_to_go
    assert told[0.5] == pytest.approx(float(returns.mean()), abs=0.01)
    assert float(returns.quantile(0.85)) < told[0.99] <= float(returns.max()) + 0.01


def window(learner: ElasticDecisionTransformer, batch: Batch) -> Window:
    told = batch.returns_to_go, batch.actions, batch.timesteps, batch.mask
    return Window(learner.features(batch.observation), *told)


def looked_at(
    learner: ElasticDecisionTransformer, history: Window, uniforms: Tensor, task: Tensor
) -> tuple[float, Tensor]:
    """What one history (1, steps, …) promises, and what it says about a_t."""
    at_state, _ = learner.attend(history)
    if learner.settings.return_inference == "bayes":
        logits = of_experts(learner.return_head(at_state), learner.settings.optimality)
        told = learner.bins.decode(drawn(logits, uniforms))
    else:
        told = learner.promise(at_state)
    at_state, at_return = learner.attend(history._replace(returns=told))
    return float(learner.promise(at_state)[0, -1]), learner.would(at_return, task)[0, -1]


@pytest.mark.parametrize("inference", ["bayes", "expectile"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_search_is_a_loop_over_histories(kind: str, inference: str) -> None:
    learner = learner_of(kind, context_length=6, return_inference=inference, optimality=3.0)
    batch, uniforms = batch_of(kind, 12, 6), torch.rand(12, 3, 6).double()
    before = torch.cat((batch.actions[:, :1], batch.actions[:, :-1]), dim=1)
    looked_back = set()
    with torch.no_grad():
        if kind == STATES:  # so that no history is always the best
            learner.promise_head.weight.mul_(torch.randn(1, 32).sign())
        whole = window(learner, batch)
        recent = {"state": whole.states, "told": whole.returns, "timestep": whole.timesteps}
        found = learner.search(
            RecentSteps({**recent, "before_action": before}), uniforms, batch.task
        )
        for row in range(12):
            tried = []
            for number, start in enumerate((0, 2, 4)):
                history = Window(*(x[row : row + 1, start:] for x in whole))
                drawn_by = uniforms[row : row + 1, number, start:]
                tried.append((*looked_at(learner, history, drawn_by, batch.task[:1]), start))
            _, best, start = max(tried, key=lambda each: each[0])
            looked_back.add(start)
            torch.testing.assert_close(found[row], best, **EXACT)
    assert len(looked_back) > 1


def played(learner: ElasticDecisionTransformer, batch: Batch) -> Iterator[Tensor]:
    state = learner.start(len(batch.actions))
    for t in range(batch.actions.shape[1]):
        with torch.no_grad():
            decided, state = learner.act(moment_of(batch, t), state)
        yield decided


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_last_steps_of_an_episode_are_looked_back_on(kind: str) -> None:
    learner = learner_of(kind, context_length=3)
    batch = batch_of(kind, 2, 7)
    *_, last = played(learner, batch)
    for since in (3, 4, 5):
        tail = replace(
            batch,
            observation={name: x[:, since:] for name, x in batch.observation.items()},
            actions=batch.actions[:, since:],
            previous_actions=batch.previous_actions[:, since:],
            returns_to_go=batch.returns_to_go[:, since:],
            timesteps=batch.timesteps[:, since:],
        )
        *_, alone = played(learner, tail)
        same = torch.allclose(alone, last, atol=1e-5)
        assert same == (since < 5)


def test_an_episode_decides_alone_as_in_a_batch() -> None:
    learner = learner_of(context_length=3)
    whole, alone, rows = learner.start(4), learner.start(2), torch.tensor([1, 3])
    with torch.no_grad():
        for seed in range(5):
            now = moment(4, seed)
            decided, whole = learner.act(now, whole)
            single, alone = learner.act(part(now, rows.tolist()), alone)
            torch.testing.assert_close(decided[rows], single, **EXACT)
        now = moment(4, 9)
        left, _ = learner.act(part(now, rows.tolist()), whole.select(rows))
        torch.testing.assert_close(left, learner.act(now, whole)[0][rows], **EXACT)


def test_returns_are_drawn_by_each_episode_s_own_noise() -> None:
    learner = learner_of(optimality=0.0)
    torch.manual_seed(2)
    logits, count = learner.return_head.bias.detach(), 20_000
    nn.init.zeros_(learner.return_head.weight)
    with torch.no_grad():
        told = learner.expert_return(torch.zeros(count, 1, 32), uniform(torch.randn(count, 1)))
    shares = torch.bincount(learner.bins.encode(told).flatten(), minlength=60) / count
    torch.testing.assert_close(shares, logits.softmax(dim=-1), atol=0.01, rtol=0)


def test_each_game_is_played_by_actions_that_it_has() -> None:
    spec = two_games()
    learner = learner_of("decision_transformer", spec=spec)
    batch = of_two_games(batch_of("decision_transformer", 4, 3), spec)
    allowed = spec.allowed[batch.task]
    for logits in played(learner, batch):
        assert torch.equal(logits > FORBIDDEN, allowed)
    (_, loss), *_ = learner.losses(batch, 0)
    assert loss.isfinite()
    loss.backward()
    assert all(x.grad is None or x.grad.isfinite().all() for x in learner.parameters())


def test_frames_of_each_game_are_standardised_by_its_own_data() -> None:
    bright = {"pixel_mean": torch.full((84, 84), 90.0), "pixel_std": 70.0}
    dark = {"pixel_mean": torch.full((84, 84), 9.0), "pixel_std": 5.0}
    learner = learner_of("decision_transformer", spec=replace(two_games(), per_task=(dark, bright)))
    batch = of_two_games(batch_of("decision_transformer", 2, 3), learner.spec)
    told = {"frames": torch.stack([torch.full((3, 4, 84, 84), x) for x in (14, 160)]).byte()}
    alike = learner.features(told, torch.tensor([0, 1]))  # each a deviation above its mean
    torch.testing.assert_close(alike[0], alike[1], **EXACT)
    swapped = replace(batch, task=1 - batch.task)
    assert not torch.allclose(*(learner.errors(x)[0][:, :, 0] for x in (batch, swapped)))


def test_embeddings_of_several_games_are_refused() -> None:
    spec = replace(two_games(), shape=spec_of("more3s").shape, statistics={"text_tokens": TEXT})
    with pytest.raises(PipelineError, match=r"^policy.observation: .* embeddings of one game"):
        learner_of("more3s", spec=spec)


def recorded(kind: str) -> dict[str, Any]:
    data = trajectories_of(LENGTHS, space=space_of(kind))
    return {"trajectories": data, "return_scale": SCALE, "text_tokens": TEXT}


def windows_of(learner: ElasticDecisionTransformer, kind: str) -> Windows:
    store = RandomStore(kind, sum(LENGTHS))
    data = trajectories_of(LENGTHS, space=space_of(kind))
    return Windows(data, store, space_of(kind), SCALE, learner.settings)


def test_bins_span_the_returns_of_all_games() -> None:
    data = trajectories_of(LENGTHS)
    learner = learner_of(spec=spec_of(STATES, recorded(STATES)), randomised=False)
    found = learner.bins.decode(torch.tensor([0, 59])) * SCALE
    scaled = trajectories_of(LENGTHS, space=space_of(STATES)).returns_to_go
    torch.testing.assert_close(found, torch.tensor([scaled.min(), scaled.max()]))
    spec = two_games(trajectories=data, return_scale=5.0)
    both = learner_of("decision_transformer", spec=spec)
    assert float(both.bins.high) == pytest.approx(float(data.returns_to_go.max()) / 5)


@pytest.mark.parametrize("kind", KINDS)
def test_one_batch_is_overfitted(kind: str) -> None:
    learner = learner_of(kind, randomised=False, spec=spec_of(kind, recorded(kind))).train()
    batch = windows_of(learner, kind).batch(np.array([3, 8, 12, 30]))
    optimizer = torch.optim.AdamW(learner.parameters(), 3e-3)
    limits = {"action_loss": 0.02, "promise_loss": 0.01, "state_loss": 0.5}
    for _ in range(250):
        means = learner.read(batch)[1]
        if all(mean.item() < limits.get(name, np.inf) for name, mean in means.items()):
            return
        optimizer.zero_grad()
        means["loss"].backward()
        optimizer.step()
    raise AssertionError(means)


def trained(steps: int, saved: Resumption | None = None) -> tuple[nn.Module, list[Any]]:
    training = {"steps": steps, "batch_size": 8, "warmup_steps": 1, "evaluate_every": 4}
    config = MethodConfig.model_validate({"method": "elastic_dt", "training": training})
    spec = spec_of(STATES, recorded(STATES))
    learner = learner_of(spec=spec, randomised=False, dropout=0.2, history_dropout=0.5)
    return learner, loop.train(
        learner, windows_of(learner, STATES), config.training, 0, saved=saved
    )


def test_a_killed_training_of_histories_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, curve = assert_resumes(trained, tmp_path, monkeypatch)
    assert {"held_out_loss", "held_out_promise_loss", "held_out_mse"} <= set(curve[0].held_out)


def test_play_needs_no_recordings() -> None:
    spec = spec_of(STATES, recorded(STATES))
    learner, alone = learner_of(spec=spec), learner_of()
    alone.load_state_dict(learner.state_dict())
    batch = batch_of(STATES, 2, 5)
    for x, y in zip(played(learner, batch), played(alone, batch), strict=True):
        assert torch.equal(x, y)
