"""What the protocol has to hold beyond sequence models: several optimisers, a target network,
noise, a policy that is a part of its learner.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from chain import DISCOUNT, SPACE, SPEC, STATES, chain, true_values
from interruption import assert_same_weights, killed
from torch import Tensor, nn

from pipeline.config import plugins
from pipeline.config.methods import MethodSettings
from pipeline.config.schema import MethodConfig, TrainingConfig
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.methods import ActingState, Learner, Moment, Spec, make
from pipeline.nn.masking import masked_mean
from pipeline.observations.batch import Batch
from pipeline.observations.windows import Windows
from pipeline.training import checkpoint
from pipeline.training.curve import write_curve
from pipeline.training.loop import train
from pipeline.training.resume import Resumption


class ChainSettings(MethodSettings):
    """Of a method that looks one step ahead."""

    @property
    def ahead(self) -> int:
        return 1


SETTINGS = ChainSettings(context_length=1)


class ActorCritic(Learner):
    """Q-learning with a target network that follows, and an actor on the critic's values; each
    update draws noise, as those of most value methods do.
    """

    played: ClassVar[str] = "actor"

    def __init__(self, settings: MethodSettings, spec: Spec) -> None:
        super().__init__(settings, spec)
        (states,), actions = spec.shape["state"], spec.actions[0].size
        self.critic, self.target, self.actor = (
            nn.Linear(states, actions, bias=False) for _ in range(3)
        )
        self.target.load_state_dict(self.critic.state_dict())
        self.target.requires_grad_(False)

    def optimised(self) -> Mapping[str, nn.Module]:
        return {"critic": self.critic, "actor": self.actor}

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        state = batch.observation["state"] + 1e-3 * torch.randn(batch.observation["state"].shape)
        now, after = state[:, 0], state[:, 1]
        taken = batch.actions[:, :1]  # (B, 1)
        value = self.critic(now).gather(1, taken)[:, 0]
        with torch.no_grad():
            # Q(s, a) = r + γ max Q'(s', ·), and r alone where the episode ended
            best = self.target(after).max(dim=-1).values
            goal = batch.rewards[:, 0] + DISCOUNT * torch.where(batch.terminal[:, 0], 0.0, best)
        yield "critic", masked_mean((value - goal).square(), batch.mask[:, 0])
        seen = self.critic(now).detach()
        self.updated = torch.equal(seen, self.critic(now))  # what stands here sees the new weights
        chosen = self.actor(now).softmax(dim=-1)
        yield "actor", -masked_mean((chosen * seen).sum(dim=-1), batch.mask[:, 0])
        with torch.no_grad():
            self.target.weight.lerp_(self.critic.weight, 0.1)

    def read(self, batch: Batch) -> tuple[Tensor | None, Mapping[str, Tensor]]:
        state = batch.observation["state"][:, batch.context]
        mean = masked_mean(self.critic(state).max(dim=-1).values, batch.mask[:, batch.context])
        return None, {"value": mean}

    def act(self, moment: Moment, state: ActingState) -> tuple[Tensor, ActingState]:
        return self.actor(moment.observation["state"][:, 0]).argmax(dim=-1), state


TRAINING = TrainingConfig.model_validate(
    {"steps": 600, "batch_size": 64, "learning_rate": 0.05, "learning_rates": {"actor": 0.2}}
    | {"warmup_steps": 1, "weight_decay": 0, "evaluate_every": 200, "gradient_clip": 10}
)


def trained(
    training: TrainingConfig = TRAINING, saved: Resumption | None = None
) -> tuple[ActorCritic, list[Any]]:
    data, store = chain()
    torch.manual_seed(0)
    learner = ActorCritic(SETTINGS, SPEC)
    windows = Windows(data, store, SPACE, 1.0, SETTINGS)
    return learner, train(learner, windows, training, seed=0, saved=saved)


def test_a_value_method_learns_the_chain_s_known_values(tmp_path: Path) -> None:
    learner, curve = trained()
    np.testing.assert_allclose(learner.critic.weight.detach().T, true_values(), atol=0.03)
    assert learner.actor.weight.argmax(dim=0).tolist() == [1] * STATES  # right is best everywhere
    assert learner.updated
    write_curve(tmp_path / "curve.csv", curve)
    header = (tmp_path / "curve.csv").read_text().splitlines()[0]
    rates = "learning_rate_critic,learning_rate_actor"
    assert header == f"step,train_loss_critic,train_loss_actor,{rates},held_out_value"
    assert curve[0].learning_rate["actor"] == pytest.approx(4 * curve[0].learning_rate["critic"])


def test_a_cut_taken_for_an_end_would_give_other_values() -> None:
    """The test above can fail: without the line between an end and a cut it does."""
    data, store = chain(limit=2)
    wrong = Trajectories(**{**vars_of(data), "terminated": np.ones_like(data.terminated)})
    found = []
    for each in (data, wrong):
        torch.manual_seed(0)
        learner = ActorCritic(SETTINGS, SPEC)
        train(learner, Windows(each, store, SPACE, 1.0, SETTINGS), TRAINING, seed=0)
        found.append(learner.critic.weight.detach().T.numpy())
    np.testing.assert_allclose(found[0], true_values(), atol=0.03)
    assert np.abs(found[1] - true_values()).max() > 0.1


def vars_of(data: Trajectories) -> dict[str, Any]:
    return {name: getattr(data, name) for name in data.__dataclass_fields__}


@pytest.mark.parametrize("killed_after", [3, 10, 17])
def test_a_killed_training_of_several_optimisers_ends_with_the_same_bytes(
    killed_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = TRAINING.model_copy(update={"steps": 20, "evaluate_every": 5, "weight_average": 0.5})
    whole, curve = trained(short)
    saved = Resumption(tmp_path / "policy", "this one", every=2)
    with killed(monkeypatch, killed_after):
        trained(short, saved)
    assert saved.waiting
    resumed, again = trained(short, saved)
    assert again == curve
    assert_same_weights(whole, resumed)


def test_what_is_played_is_all_that_a_checkpoint_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, _ = trained(TRAINING.model_copy(update={"steps": 5}))
    config = MethodConfig(method="behaviour_cloning")
    path = tmp_path / "policy.safetensors"
    checkpoint.save(path, learner, checkpoint.describe(config, 0, 1.0, SPEC))
    monkeypatch.setattr(checkpoint, "make", lambda _, spec: ActorCritic(SETTINGS, spec))
    loaded, described = checkpoint.load(path, config)
    assert (described.tasks, loaded.spec.actions) == (["Chain"], (SPACE,))
    assert isinstance(loaded, ActorCritic)
    assert torch.equal(loaded.actor.weight, learner.actor.weight)
    assert not torch.equal(loaded.critic.weight, learner.critic.weight)
    assert path.stat().st_size < 4000


def test_nothing_to_learn_from_and_an_unknown_optimiser_are_said() -> None:
    data, store = chain(limit=1)
    cut = replace(data, terminated=np.zeros_like(data.terminated))
    windows = Windows(cut, store, SPACE, 1.0, SETTINGS)
    with pytest.raises(PipelineError, match="no step to train on; every episode was cut"):
        train(ActorCritic(SETTINGS, SPEC), windows, TRAINING, seed=0)
    learner = ActorCritic(SETTINGS, SPEC)
    learner.optimised = lambda: {"critic": learner.critic}  # type: ignore[method-assign]
    windows = Windows(*chain(), SPACE, 1.0, SETTINGS)
    with pytest.raises(PipelineError, match=r"a loss for 'actor', but .* has critic only"):
        train(learner, windows, TRAINING, seed=0)


def test_a_method_that_cannot_act_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("pipeline.methods.unfinished")

    class Unfinished(Learner):
        def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
            yield "policy", torch.zeros(())

    Unfinished.__module__ = module.__name__
    module.Unfinished = Unfinished  # type: ignore[attr-defined]
    monkeypatch.setattr(plugins, "load", lambda *names: module)
    with pytest.raises(PipelineError, match=r"methods/unfinished\.py: Unfinished has no act; "):
        make(MethodConfig(method="unfinished"), SPEC)
