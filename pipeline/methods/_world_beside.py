"""A model of what follows that is trained beside a policy, and plans in it (docs/planners.md)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.config.methods.more3s import Settings
from pipeline.methods import Moment, Spec
from pipeline.methods._imagined_plans import planned_action
from pipeline.methods._world_errors import world_errors
from pipeline.nn.embedding_world import EmbeddingWorld, ImaginedPlay, Policy, Step
from pipeline.nn.kv_cache import Positions, TransformerState
from pipeline.nn.masking import masked_mean
from pipeline.nn.step_world import normalised
from pipeline.nn.token_pooling import VisibleTokens
from pipeline.observations.batch import Batch
from pipeline.observations.recorded_returns import RecordedReturns


class WindowPolicy(Policy, Protocol):
    """A policy whose steps can be imagined, and what it says of windows."""

    @property
    def pool(self) -> nn.Module:
        """Tokens and their mask → (batch, steps, width)."""

    @property
    def visible(self) -> VisibleTokens:
        """The mask of what may be seen."""

    @property
    def embedding_head(self) -> nn.Module:
        """h → the next embedding (…, 2 · embed), where the action is as recorded."""

    def attend(self, x: Tensor, batch: Batch) -> Tensor:
        """h of the context's steps (batch, K, width), of the transformer's inputs."""
        ...


class WorldBeside(EmbeddingWorld):
    """The model, and the returns that its values are learned from."""

    def __init__(self, settings: Settings, spec: Spec) -> None:
        """In training the statistics have the `trajectories`."""
        (space,) = spec.actions
        super().__init__(settings.width, spec.shape["tokens"][1], space.size)
        self.settings, told = settings, settings.world_model
        if "trajectories" in spec.statistics:
            data = [spec.statistics["trajectories"]]
            self.recorded = RecordedReturns(data, told.discount, told.unknown_steps)
            self.scale.copy_(self.recorded.scales[0])

    def beside(self, learner: nn.Module) -> Mapping[str, nn.Module]:
        """What is trained of a learner, by name: all but this, and this."""
        others = {name: part for name, part in learner.named_children() if part is not self}
        return {"policy": nn.ModuleDict(others), "world": self}

    # Losses.

    def loss(self, policy: WindowPolicy, batch: Batch) -> Tensor:
        """The sum of all errors; none reaches the policy."""
        return torch.stack([*self.errors(policy, batch).values()]).sum()

    def errors(self, policy: WindowPolicy, batch: Batch) -> dict[str, Tensor]:
        """Those of `world_errors`, and of V to recorded returns."""
        pooled, hidden = self.unled(policy, batch)
        x, (returns, known) = normalised(pooled[:, batch.context]), self.recorded(batch)
        missed = (self.values(hidden) - returns).square()
        errors = world_errors(self, x, hidden, batch.context_only())
        return {**errors, "value_error": masked_mean(missed, known)}

    def unled(self, policy: WindowPolicy, batch: Batch) -> tuple[Tensor, Tensor]:
        """pool(O) (B, S, width) and, of the context, h (B, K, width), where `policy` reads windows
        as in play and is told the return of another window: no gradients.
        """
        with torch.no_grad():
            # R̂ as if the window ended with what is left at the end of another, rewards as recorded
            left = batch.returns_to_go[:, -1:]
            batch = replace(batch, returns_to_go=batch.returns_to_go + left.roll(1, 0) - left)
            visible = policy.visible(batch.observation["mask"], dropout=False)
            pooled = policy.pool(batch.observation["tokens"], visible)
            told = batch.returns_to_go, batch.timesteps
            return pooled, policy.attend(policy.tokens(pooled, batch.observation, *told), batch)

    # How far ahead it is right, and plans.

    def imagined(self, policy: WindowPolicy, batch: Batch, actions: Tensor) -> dict[str, Tensor]:
        """Whitened embeddings (B, H, 2, embed) that follow windows (B, S) where `actions` (B, H)
        are taken: `own` of the model, and `head` of the policy's head for the next one.
        """
        steps = batch.mask.shape[1]
        pooled = policy.pool(
            batch.observation["tokens"], policy.visible(batch.observation["mask"], dropout=False)
        )
        told = batch.returns_to_go, batch.timesteps
        x = policy.tokens(pooled, batch.observation, *told)
        each = x.shape[1] // steps  # tokens of a step
        returns, real = (y.repeat_interleave(each, dim=1) for y in (told[0], batch.mask))
        where = Positions.of_steps(0, steps, each)
        hidden, cache = policy.transformer(x, where, real, returns)
        last = (y[:, -1:] for y in told)
        memory = TransformerState(steps, cache)
        now = self.seen(pooled[:, -1:], hidden[:, -1], memory, *last)
        play, own, head = ImaginedPlay(policy, self), list[Tensor](), list[Tensor]()
        for action in actions.T:
            head.append(policy.embedding_head(now.hidden))
            now, *_ = play.imagine(now, action)
            own.append(self.decode(now.x))
        found = {"own": own, "head": head}
        shape = *actions.shape, 2, -1
        return {name: torch.stack(z, dim=1).view(shape) for name, z in found.items()}

    def seen(
        self,
        pooled: Tensor,
        hidden: Tensor,
        memory: TransformerState,
        returns: Tensor,
        timestep: Tensor,
    ) -> Step:
        """The step that plans begin with: pool(O) (B, 1, width), h (B, width), what the policy
        remembers, and R̂ and t (B, 1).
        """
        return Step(normalised(pooled)[:, 0], hidden, memory, returns, timestep)

    def planned(
        self,
        policy: Policy,
        pooled: Tensor,
        hidden: Tensor,
        memory: TransformerState,
        moment: Moment,
    ) -> Tensor:
        """The first action (B,) int64 of each episode's best plan; see `seen`."""
        told, planner = (moment.return_to_go, moment.timestep), self.settings.planner
        now = self.seen(pooled, hidden, memory, *told)
        return planned_action(
            ImaginedPlay(policy, self),
            now,
            moment,
            planner,
            discount=self.settings.world_model.discount,
            actions=self.dynamics.action.num_embeddings,
        )
