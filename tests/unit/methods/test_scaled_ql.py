"""Scaled-QL: values of a chain that are known, heads of games, and frames of games."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chain import DISCOUNT, SPACE, SPEC, STATES, chain, true_values
from interruption import assert_resumes
from policies import PIXELS, TORQUES, VECTOR, batch_of, moment_of
from torch.nn import functional

from pipeline.config.schema import MethodConfig, TrainingConfig
from pipeline.environments.action_space import ActionSpace, joined
from pipeline.errors import PipelineError
from pipeline.methods import Spec, make
from pipeline.nn.state_encoders import StandardisedFrames
from pipeline.observations.batch import Batch
from pipeline.observations.windows import Windows
from pipeline.training.loop import train
from pipeline.training.resume import Resumption

SMALL: dict[str, Any] = {
    **{"width": 32, "discount": DISCOUNT, "clip_rewards": False, "target_every": 10, "atoms": 21},
    **{"lowest_return": -0.2, "highest_return": 1.2, "conservative_weight": 0.0},
}
TRAINING = TrainingConfig.model_validate(
    {"steps": 1500, "batch_size": 64, "learning_rate": 0.02, "warmup_steps": 1, "weight_decay": 0}
    | {"final_learning_rate": 0.0, "evaluate_every": 1500, "gradient_clip": 10}
)
GAMES = (ActionSpace(("A", "B", "C")), ActionSpace(("A", "C", "D")))


def learner_of(spec: Spec = SPEC, **policy: Any) -> Any:
    torch.manual_seed(0)
    config = {"method": "scaled_ql", "policy": SMALL | policy}
    return make(MethodConfig.model_validate(config), spec)


def windows_of(learner: Any, only_right: bool = False) -> Windows:
    data, store = chain(only_right=only_right)
    return Windows(data, store, SPACE, 1.0, learner.settings)


def values_of(learner: Any) -> torch.Tensor:
    """Q(s, a) of every state, (states, actions)."""
    seen, task = {"state": torch.eye(STATES)[:, None]}, torch.zeros(STATES, dtype=torch.int64)
    with torch.no_grad():
        return learner.q(learner.of_game(learner.policy, seen, task), task)[:, 0]


def several(**policy: Any) -> Any:
    """Of two games with other actions, on frames."""
    told = tuple(
        {"pixel_mean": np.full((84, 84), m), "pixel_std": s} for m, s in ((9, 5), (90, 70))
    )
    spec = Spec(("One", "Two"), GAMES, PIXELS, {}, told, joined(GAMES))
    return learner_of(spec, **policy).eval()


def frames_of(task: list[int], actions: int = 0) -> Batch:
    """Windows of one step and the next; `actions` that both games have."""
    batch = batch_of("behaviour_cloning", len(task), 2)
    batch.actions[:] = actions
    return replace(batch, task=torch.tensor(task), ahead=1)


def test_the_mean_is_the_chain_s_known_value() -> None:
    learner = learner_of()
    train(learner, windows_of(learner), TRAINING, seed=0)
    np.testing.assert_allclose(values_of(learner).numpy(), true_values(), atol=0.05)


def test_what_was_not_recorded_is_held_down() -> None:
    differences = {}
    for weight in (0.0, 1.0):
        learner = learner_of(conservative_weight=weight)
        short = TRAINING.model_copy(update={"steps": 150, "evaluate_every": 150})
        train(learner, windows_of(learner, only_right=True), short, seed=0)
        unseen, seen = values_of(learner).unbind(dim=1)
        differences[weight] = (seen - unseen).min().item()
    assert differences[1.0] > differences[0.0] + 0.15  # of a support that is 1.4 wide


def test_values_begin_at_zero() -> None:
    assert values_of(learner_of()).abs().max() < 0.05


def test_features_have_length_one() -> None:
    learner = learner_of()
    heard: list[torch.Tensor] = []
    learner.policy.outputs[0].register_forward_hook(lambda *told: heard.append(told[1][0]))
    values_of(learner)
    torch.testing.assert_close(heard[0].norm(dim=-1), torch.ones(STATES, 1))


def test_a_game_has_a_head_of_its_own_and_its_own_actions() -> None:
    learner = several()
    batch = frames_of([0, 1, 1])
    q, _ = learner.read(batch)
    assert torch.equal(q[:, 0].isfinite(), learner.allowed[batch.task])
    for row, game in enumerate(batch.task.tolist()):
        alone = {name: x[row : row + 1] for name, x in batch.observation.items()}
        found = learner.of_game(learner.policy, alone, torch.tensor([game]))
        torch.testing.assert_close(
            learner.q(found, torch.tensor([game]))[0, 0], q[row, 0], atol=1e-4, rtol=1e-4
        )
    sum(loss for _, loss in learner.losses(frames_of([1, 1]), 0)).backward()
    assert learner.policy.outputs[0].weight.grad is None
    assert learner.policy.outputs[1].weight.grad.abs().sum() > 0


def test_cql_looks_at_allowed_actions_only() -> None:
    learner = several(conservative_weight=1.0, width=16)
    batch = frames_of([0, 1], actions=2)  # C, which both have
    told = learner.horizon(batch)
    values, after = learner.values(batch, told)
    error = learner.error(values, after, batch, told)
    learner.settings = learner.settings.model_copy(update={"conservative_weight": 0.0})
    gap = error - learner.error(values, after, batch, told)
    mean = learner.support.mean(values)[:, 0]
    for row, allowed in ((0, [0, 1, 2]), (1, [0, 2, 3])):
        expected = functional.cross_entropy(mean[row, allowed], torch.tensor(allowed.index(2)))
        torch.testing.assert_close(gap[row, 0], expected, atol=1e-5, rtol=1e-4)


def test_what_is_forbidden_is_neither_played_nor_bootstrapped_from() -> None:
    learner = several()
    batch = frames_of([0, 1])
    told = learner.horizon(batch)
    before = learner.error(*learner.values(batch, told), batch, told)
    for network in (learner.target, learner.policy):
        for game, forbidden in ((0, 3), (1, 1)):
            with torch.no_grad():  # a value that would be the largest
                network.outputs[game].bias.view(4, -1)[forbidden, -1] = 50
        assert torch.equal(learner.error(*learner.values(batch, told), batch, told), before)
    action, _ = learner.act(moment_of(batch, 0), learner.start(2))
    assert learner.allowed[batch.task, action].all()


def test_frames_of_games_are_standardised_by_their_own_data() -> None:
    frames = StandardisedFrames((84, 84), tasks=2)
    frames.fit({}, [{"pixel_mean": np.full((84, 84), 9.0), "pixel_std": 5.0}, {}])
    seen = torch.full((2, 1, 4, 84, 84), 19, dtype=torch.uint8)
    levels = frames.levels(seen, torch.tensor([0, 1]))
    torch.testing.assert_close(levels[0], torch.full((4, 84, 84), 2.0))
    torch.testing.assert_close(levels[1], torch.full((4, 84, 84), 19 / 255))
    assert several().policy.features.encoder.mean[1, 0, 0] == 90


def test_a_checkpoint_plays_without_the_data() -> None:
    learner, batch = several(), frames_of([0, 1])
    bare = Spec(("One", "Two"), GAMES, PIXELS, {}, ({}, {}), joined(GAMES))
    alone = learner_of(bare).eval()
    alone.load_state_dict(learner.state_dict())
    seen = learner.of_game(learner.policy, batch.observation, batch.task)
    torch.testing.assert_close(alone.of_game(alone.policy, batch.observation, batch.task), seen)


def trained(steps: int, saved: Resumption | None = None) -> tuple[Any, Any]:
    learner = learner_of(conservative_weight=0.5)
    short = TRAINING.model_copy(update={"steps": steps, "evaluate_every": 4})
    return learner, train(learner, windows_of(learner), short, seed=0, saved=saved)


def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_resumes(trained, tmp_path, monkeypatch)


def test_continuous_actions_are_refused() -> None:
    with pytest.raises(PipelineError, match="Hopper: its actions are continuous"):
        learner_of(Spec(("Hopper",), (TORQUES,), VECTOR, {}))
