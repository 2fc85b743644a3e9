"""Methods: one file, one method, found by its name.

`pipeline/methods/<name>.py` has one class that follows `Learner`; its settings, if it has any of
its own, are `pipeline/config/methods/<name>.py`. Optimisers, rates, clipping, precision, processes,
averages, resumption and the check for NaN are the training loop's affair, and no method's.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from pipeline.config import plugins
from pipeline.config.methods import Game, MethodSettings
from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace, places
from pipeline.errors import PipelineError
from pipeline.observations import Observation
from pipeline.observations.batch import Batch


@dataclass(frozen=True)
class Spec:
    """What a method is built for: known before training, stored in the checkpoint, given again in
    play.
    """

    tasks: tuple[str, ...]
    """Games or robots that are trained on together; one is the usual case."""
    actions: tuple[ActionSpace, ...]
    """Of each task."""
    shape: Mapping[str, tuple[int, ...]]
    """Of each tensor of an observation, without batch and steps."""
    statistics: Mapping[str, Any]
    """Of the data, such as means and deviations; in training also the `trajectories` themselves and
    the `return_scale`. Arrays are there in training only: what play needs of them belongs into
    buffers, which a checkpoint holds.
    """
    per_task: tuple[Mapping[str, Any], ...] = ()
    """The same of each task alone, where a policy is trained on several."""
    joint: ActionSpace | None = None
    """The actions of all tasks by name, where a policy is trained on several."""

    @property
    def choices(self) -> ActionSpace:
        """What a policy chooses among: its outputs, and the actions of every batch, are numbered
        as these are.
        """
        return self.actions[0] if self.joint is None else self.joint

    @property
    def allowed(self) -> Tensor:
        """(tasks, choices) bool: which of the choices each task has."""
        allowed = torch.zeros(len(self.tasks), self.choices.size, dtype=torch.bool)
        for task, space in enumerate(self.actions):
            allowed[task, torch.from_numpy(places(space, self.choices))] = True
        return allowed


@dataclass(frozen=True)
class Moment:
    """B episodes at one timestep, of which a policy sees this much."""

    observation: Observation
    """Tensors (B, 1, …)."""
    previous_action: Tensor
    """(B, 1) int64 or (B, 1, A) float32; the action that does nothing at t = 0."""
    previous_reward: Tensor
    """(B, 1) float32: r_{t-1} as the environment paid it; 0 at t = 0."""
    return_to_go: Tensor
    """(B, 1) float32, scaled as in training."""
    timestep: Tensor
    """(B, 1) int64."""
    task: Tensor
    """(B,) int64."""
    noise: Callable[..., Tensor]
    """noise(*shape) → (B, *shape) float32 from N(0, 1), each episode from its own generator."""


class ActingState(Protocol):
    """What a policy carries from step to step, for a batch of episodes: a cache, a plan."""

    def select(self, rows: Tensor) -> Self:
        """Keep only the episodes `rows` (int64 indices), when others have ended."""
        ...


class Stateless:
    """The acting state of a policy that carries nothing."""

    def select(self, rows: Tensor) -> Self:
        """Nothing is carried."""
        return self


@runtime_checkable
class Predictor(Protocol):
    """A learner with a model of what happens; its settings say `predicts`."""

    def predict(self, first: Tensor, actions: Tensor) -> Tensor:
        """The states (B, H, D) that follow `first` (B, D), both as they are observed, where
        `actions` (B, H, A) are taken whatever happens: an open loop, without gradients. The same
        arguments give the same states.
        """
        ...


class Learner(nn.Module, ABC):
    """A method: a network, or several, that learns from windows of recorded steps and then acts.

    Its constructor takes `(settings, spec)`. Only `losses` and `act` have to be written.
    """

    played: ClassVar[str] = ""
    """The submodule that acts and is kept as the policy; "" is the whole learner."""

    def __init__(self, settings: MethodSettings, spec: Spec) -> None:
        super().__init__()
        self.settings, self.spec = settings, spec

    def optimised(self) -> Mapping[str, nn.Module]:
        """What is trained: one optimiser each, with a rate of its own."""
        return {"policy": self}

    def phases(self, steps: int) -> Mapping[str, range]:
        """Of `steps` updates those that an optimiser makes, where it makes not all of them. Its
        rate runs its whole course in these: what is never trained again ends at the lowest rate.
        """
        return {}

    @abstractmethod
    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """(name of an optimiser, scalar loss), in the order of the algorithm's box.

        The loop takes that optimiser's step before it asks for the next one, so what stands after a
        yield sees the updated weights; what stands after the last one is where target networks
        follow. Means are `masked_mean`s, so that processes can share a batch; new tensors go to the
        batch's device.
        """

    def read(self, batch: Batch) -> tuple[Tensor | None, Mapping[str, Tensor]]:
        """What is looked at on held-out windows: what it would do at each step of the context,
        logits (B, K, actions) or actions (B, K, components), and named means over its real steps.

        None where only play tells what it would do. Every mean becomes a column of the curve.
        """
        return None, {}

    def start(self, episodes: int) -> ActingState:
        """The state before the first step of `episodes` episodes."""
        return Stateless()

    @abstractmethod
    def act(self, moment: Moment, state: ActingState) -> tuple[Tensor, ActingState]:
        """What to do, and the next state; called without gradients.

        float (B, actions): logits that an action is drawn from; int64 (B,), or float (B,
        components) within their bounds: the action itself. May plan.
        """


def make(config: MethodConfig, spec: Spec) -> Learner:
    """Build the method that `config.method` names.

    Raises PipelineError for an unknown method, for a file without a learner of its own, and where
    the settings do not fit the game.
    """
    module = plugins.load("methods", config.method)
    own = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Learner) and member.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise PipelineError(
            f"pipeline/methods/{config.method}.py: {len(own)} classes that follow Learner; a "
            "method's file has one"
        )
    if missing := sorted(own[0].__abstractmethods__):
        raise PipelineError(
            f"pipeline/methods/{config.method}.py: {own[0].__name__} has no "
            f"{' and no '.join(missing)}; a learner has both losses and act"
        )
    config.policy.check(
        Game(
            name=", ".join(spec.tasks),
            continuous=any(space.continuous for space in spec.actions),
            states="state" in spec.shape,
            embeddings="tokens" in spec.shape,
            several=len(spec.tasks) > 1,
        )
    )
    learner: Learner = own[0](config.policy, spec)
    return learner
