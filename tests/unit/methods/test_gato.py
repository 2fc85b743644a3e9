"""Gato: its tokens, its loss on actions only, its prompts, and play token by token."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_resumes
from policies import (
    ACTIONS,
    STATE,
    TORQUES,
    RandomStore,
    batch_of,
    method_config,
    moment_of,
    trajectories_of,
)
from torch import Tensor

from pipeline.config.schema import MethodConfig
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.methods import Moment, Spec, make
from pipeline.methods.gato import Gato
from pipeline.observations.batch import Batch
from pipeline.observations.windows import Windows
from pipeline.training import loop
from pipeline.training.resume import Resumption

KIND = "decision_transformer on states"
BUTTONS = ActionSpace(("A", "B", "C"))
K, P = 4, 3
SMALL = {"context_length": K, "prompt_steps": P, "width": 16, "layers": 2, "heads": 2}
SMALL |= {"bins": 64, "action_bins": 16}
LENGTHS = [8, 12, 2, 10]


def recorded(space: ActionSpace = TORQUES) -> Trajectories:
    data = trajectories_of(LENGTHS, space=TORQUES)
    if space.continuous:
        return data
    return replace(data, actions=np.random.default_rng(5).integers(0, ACTIONS, sum(LENGTHS)))


def learner_of(space: ActionSpace = TORQUES, randomised: bool = True, **policy: Any) -> Gato:
    torch.manual_seed(0)
    told = {"trajectories": recorded(space), "return_scale": 1.0}
    spec = Spec(("Made up",), (space,), {"state": (STATE,)}, told)
    learner = make(method_config("gato", **{**SMALL, "token_temperature": 0, **policy}), spec)
    assert isinstance(learner, Gato)
    if randomised:
        for parameter in learner.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return learner.eval()


def shown(learner: Gato, episode: int) -> Gato:
    """With the end of an episode as its demonstration."""
    learner.prompt.copy_(learner.endings[episode])
    learner.prompt_score.copy_(learner.scores[episode])
    return learner


def windows_of(learner: Gato, space: ActionSpace = TORQUES) -> Windows:
    data = recorded(space)
    store = RandomStore(KIND, len(data.actions))
    assert data.observations is not None
    store.observation["state"] = torch.from_numpy(data.observations)[None]
    return Windows(data, store, space, 10.0, learner.settings)


def episode_of(space: ActionSpace, batch: int, steps: int) -> Batch:
    """Windows of many steps, as play sees them."""
    told = batch_of(KIND, batch, steps)
    if space.continuous:
        return told
    actions = torch.randint(0, ACTIONS, (batch, steps))
    previous = torch.nn.functional.pad(actions[:, :-1], (1, 0))
    return replace(told, actions=actions, previous_actions=previous)


def played(learner: Gato, batch: Batch) -> Tensor:
    """What it does at each step, (B, steps, …)."""
    state, done = learner.start(len(batch.actions)), []
    with torch.no_grad():
        for t in range(batch.actions.shape[1]):
            action, state = learner.act(moment_of(batch, t), state)
            done.append(action)
    return torch.stack(done, dim=1)


# Tokens.


def test_tokens_of_a_step_come_back() -> None:
    learner = learner_of(action_bins=1024)
    batch = episode_of(TORQUES, 2, 3)
    tokens = learner.tokens(batch.observation["state"], batch.actions)
    assert tokens.shape == (2, 3, STATE + 1 + TORQUES.size)
    assert not tokens[..., STATE].any()  # the separator
    width = (torch.tensor(TORQUES.high) - torch.tensor(TORQUES.low)) / 1024
    error = (learner.tokens.actions(tokens[..., STATE + 1 :]) - batch.actions).abs()
    assert (error <= width / 2 + 1e-6).all()
    discrete = learner_of(BUTTONS)
    told = episode_of(BUTTONS, 2, 3)
    assert torch.equal(discrete.tokens.of_actions(told.actions)[..., 0], told.actions)
    embedded = discrete.tokens.embed(torch.tensor([[[0], [1], [2]]]), STATE + 1)
    assert len({tuple(row.tolist()) for row in embedded[0]}) == 3


def test_endings_are_the_last_steps_of_each_episode() -> None:
    learner, data = learner_of(), recorded()
    seen, taken = (torch.from_numpy(np.asarray(x)) for x in (data.observations, data.actions))
    whole = learner.tokens(seen, taken)
    for episode, (start, length) in enumerate(zip(data.starts, LENGTHS, strict=True)):
        steps = [max(start, start + length - P + i) for i in range(P)]
        assert torch.equal(learner.endings[episode], whole[steps])


# Losses.


@pytest.mark.parametrize("space", [TORQUES, BUTTONS], ids=["torques", "buttons"])
def test_only_actions_are_learned(space: ActionSpace) -> None:
    """The loss is the cross-entropy of action tokens, each from what comes before it."""
    learner = shown(learner_of(space), 1)
    batch = windows_of(learner, space).batch(np.array([7, 15, 31]))
    loss, read = learner.loss(batch, learner.prompt.expand(3, -1, -1), torch.ones(3).bool())
    tokens = learner.tokens(batch.observation["state"], batch.actions)[..., STATE + 1 :]
    chosen = read.log_softmax(dim=-1).gather(-1, tokens[..., None])[..., 0]
    expected = -(chosen.mean(dim=-1) * batch.mask).sum() / batch.mask.sum()
    torch.testing.assert_close(loss, expected)
    assert read.shape[-1] == (16 if space.continuous else ACTIONS)  # no state can be predicted


@pytest.mark.parametrize("space", [TORQUES, BUTTONS], ids=["torques", "buttons"])
def test_no_action_is_read_from_itself_or_what_comes_later(space: ActionSpace) -> None:
    learner = shown(learner_of(space), 1)
    batch = episode_of(space, 1, K)
    tokens = learner.tokens(batch.observation["state"], batch.actions)
    prompt, told = learner.prompt[None], (torch.ones(1).bool(), torch.ones(1, K).bool())

    def logits(of: Tensor) -> Tensor:
        with torch.no_grad():
            return learner.logits(prompt, told[0], of, told[1])

    before = logits(tokens)
    for step in range(K):
        for place in range(tokens.shape[-1]):
            if place == STATE:
                continue
            other = tokens.clone()
            other[0, step, place] = (other[0, step, place] + 1) % 3
            different = (logits(other) != before).any(dim=-1)[0]  # (K, A)
            assert not different[:step].any()
            after = max(0, place - STATE)  # of its own step the actions behind it
            assert not different[step, :after].any()
            assert different[step, after:].all()
            assert different[step + 1 :].all()


def test_padding_and_windows_without_a_prompt() -> None:
    learner = shown(learner_of(), 1)
    batch = windows_of(learner).placed(np.array([6, 19]), "starts")  # padded on the right
    assert not batch.mask.all()
    garbage = batch.observation["state"] + 7.0 * ~batch.mask[..., None]
    other = replace(batch, observation={"state": garbage})
    prompt, none = learner.prompt.expand(2, -1, -1), torch.zeros(2).bool()
    for which in (none, ~none):
        before, after = (learner.loss(each, prompt, which)[0] for each in (batch, other))
        torch.testing.assert_close(before, after)
    changed = (prompt + 1) % 16
    assert torch.equal(learner.loss(batch, changed, none)[0], learner.loss(batch, prompt, none)[0])
    assert learner.loss(batch, changed, ~none)[0] != learner.loss(batch, prompt, ~none)[0]


def test_prompts_are_of_other_episodes_that_are_trained_on(monkeypatch: Any) -> None:
    learner = learner_of(prompt_share=1.0)
    windows, seen = windows_of(learner), list[tuple[Tensor, Tensor]]()
    loss = learner.loss

    def noted(batch: Batch, prompt: Tensor, prompted: Tensor) -> Any:
        seen.append((prompt, prompted))
        return loss(batch, prompt, prompted)

    monkeypatch.setattr(learner, "loss", noted)
    batch = windows.batch(np.array([3, 4, 15, 21]))  # episodes 0, 0, 1, 2
    list(learner.losses(batch, 0))
    ((prompt, prompted),) = seen
    assert torch.equal(prompt, learner.endings[[2, 0, 0, 1]])
    assert prompted.tolist() == [True, False, True, True]  # none of its own episode
    best = int(learner.scores[:3].argmax())
    assert torch.equal(learner.prompt, learner.endings[best])
    assert learner.prompt_score == learner.scores[best]
    list(learner.losses(windows.batch(np.array([21])), 1))  # a worse one changes nothing
    assert torch.equal(learner.prompt, learner.endings[best])


def test_one_batch_can_be_overfitted() -> None:
    learner = learner_of(randomised=False, width=64, dropout=0.0).train()
    batch = windows_of(learner).batch(np.array([7, 15, 21, 31]))  # one of each episode
    optimizer = torch.optim.AdamW(learner.parameters(), 0.003)
    for step in range(150):
        ((_, loss),) = learner.losses(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unprompted = learner.prompt.expand(4, -1, -1), torch.zeros(4).bool()
    assert learner.loss(batch, *unprompted)[0].item() < 0.1
    other = learner.endings[learner.episode[batch.index].roll(1)]
    assert learner.loss(batch, other, torch.ones(4).bool())[0].item() < 0.1


# Play.


@pytest.mark.parametrize("space", [TORQUES, BUTTONS], ids=["torques", "buttons"])
def test_the_cache_gives_what_a_pass_over_everything_gives(space: ActionSpace) -> None:
    learner = shown(learner_of(space, action_bins=64), 3)
    batch = episode_of(space, 2, K)
    found = played(learner, batch)
    tokens = learner.tokens(batch.observation["state"], batch.actions)
    prompt, mask = learner.prompt.expand(2, -1, -1), torch.ones(2, K, dtype=torch.bool)
    for t in range(K):
        own = tokens.clone()
        for i in range(learner.tokens.components):  # token by token, each seeing its own choices
            with torch.no_grad():
                logits = learner.logits(prompt, torch.ones(2).bool(), own, mask)[:, t, i]
            own[:, t, STATE + 1 + i] = logits.argmax(dim=-1)
        if space.continuous:
            assert torch.equal(found[:, t], learner.tokens.actions(own[:, t, STATE + 1 :]))
        else:
            torch.testing.assert_close(found[:, t], logits, atol=1e-5, rtol=1e-4)


def test_the_demonstration_stays_in_view_and_old_steps_do_not() -> None:
    """In one layer, since in several what is kept has seen what came before it."""
    space = BUTTONS  # of which logits tell more than the action that is chosen
    batch = episode_of(space, 2, 3 * K)
    acts = {}
    for episode in (0, 1):
        acts[episode] = played(shown(learner_of(space, layers=1), episode), batch)
    assert (acts[0] != acts[1])[:, 2 * K :].any()
    old = batch.observation["state"].clone()
    old[:, :2] += 5
    again = played(
        shown(learner_of(space, layers=1), 1), replace(batch, observation={"state": old})
    )
    torch.testing.assert_close(again[:, K + 1 :], acts[1][:, K + 1 :])
    assert (again != acts[1])[:, :2].any()


@pytest.mark.parametrize("temperature", [0, 1])
def test_episodes_act_as_single_ones(temperature: int) -> None:
    learner = shown(learner_of(token_temperature=temperature), 1)
    batch = episode_of(TORQUES, 3, K + 2)

    def noise(rows: list[int]) -> Callable[..., Tensor]:
        def draw(*shape: int) -> Tensor:
            own = [torch.Generator().manual_seed(row) for row in rows]
            return torch.stack([torch.randn(shape, generator=each) for each in own])

        return draw

    def moment(t: int, rows: list[int]) -> Moment:
        of = moment_of(batch, t)
        seen = {"state": of.observation["state"][rows]}
        last = of.previous_action[rows]
        return replace(of, observation=seen, previous_action=last, noise=noise(rows))

    with torch.no_grad():
        state, whole = learner.start(3), []
        alone = [learner.start(1) for _ in range(3)]
        for t in range(K + 2):
            rows = [0, 1, 2] if t < 3 else [2, 0]  # one has ended, the others in another order
            if t == 3:
                state = state.select(torch.tensor(rows))
            action, state = learner.act(moment(t, rows), state)
            whole.append(action)
            for place, row in enumerate(rows):
                single, alone[row] = learner.act(moment(t, [row]), alone[row])
                torch.testing.assert_close(single[0], action[place], atol=1e-5, rtol=1e-4)


def test_an_action_that_was_not_its_own_is_what_it_remembers() -> None:
    learner = shown(learner_of(BUTTONS), 1)
    batch = episode_of(BUTTONS, 1, 2)
    changed = batch.previous_actions.clone()
    changed[:, 1] = (changed[:, 1] + 1) % ACTIONS
    other = replace(batch, previous_actions=changed)
    first, second = played(learner, batch), played(learner, other)
    assert torch.equal(first[:, 0], second[:, 0])
    assert not torch.equal(first[:, 1], second[:, 1])


def test_training_resumes_exactly_and_keeps_its_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {"batch_size": 4, "learning_rate": 0.01, "warmup_steps": 1, "windows": "starts"}

    def trained(steps: int, saved: Resumption | None = None) -> tuple[Gato, Any]:
        learner = learner_of(randomised=False, dropout=0.1)
        settings = {**training, "steps": 12, "evaluate_every": 4, "held_out_fraction": 0.25}
        config = MethodConfig.model_validate({"method": "gato", "training": settings})
        curve = loop.train(learner, windows_of(learner), config.training, 0, saved=saved)
        return learner, curve

    learner, curve = assert_resumes(trained, tmp_path, monkeypatch)
    assert learner.prompt_score > 0
    assert len(curve) == 3
