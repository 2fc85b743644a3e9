"""Model-based offline planning (MBOP; Argenson & Dulac-Arnold 2021, arXiv 2008.05556).

Three ensembles are fitted by regression: a model f_m(s, a) → s' − s, r, a behaviour prior f_b(s,
a_prev) → a, and the next rewards, f_R(s, a) → Σ_{k<HR} r_k. In play N trajectories of H steps are
imagined from the prior's proposals and noise, and the plan is the mean of their actions, weighted
by e^{κ return}; its first action is taken. After `acme/agents/jax/mbop`, but the last plan is
shifted by a step before it is mixed in, as in the paper. f_R reads the mean of its rewards, which
has the scale of a reward.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.config.methods.mbop import Settings
from pipeline.errors import PipelineError
from pipeline.methods import Learner, Moment, Spec
from pipeline.nn.action_head import ActionBounds
from pipeline.nn.dropout import Noise
from pipeline.nn.masking import masked_mean
from pipeline.nn.mlp import BatchedMLP, Standardise
from pipeline.nn.planning import Plan, collected, dealt, weighted_plan
from pipeline.observations.batch import Batch


class Targets(NamedTuple):
    """What the ensembles read and learn of B steps."""

    state: Tensor
    """(B, D), standardised."""
    action: Tensor
    """(B, A), scaled to [-1, 1]; so the next."""
    previous: Tensor
    outcome: Tensor
    """(B, D + 1): s' − s and r, standardised."""
    returns: Tensor
    """(B,) the mean of the next HR rewards, standardised; after an end rewards are 0."""
    followed: Tensor
    """(B, D + 1) bool: s' is there; of an end only r is, and of padding neither."""
    whole: Tensor
    """(B,) bool: no cut falls within the HR steps."""


class MBOP(Learner):
    """The learner; see the module."""

    settings: Settings
    change_std: Tensor
    reward_mean: Tensor
    reward_std: Tensor

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        (space,) = spec.actions
        (size,), actions = spec.shape["state"], space.size
        hidden, members = [settings.width] * settings.layers, settings.members
        self.blurred = Noise(settings.previous_noise)
        self.states, self.bounds = Standardise(size, spec.statistics), ActionBounds(space)
        self.model = BatchedMLP(members, [size + actions, *hidden, size + 1])
        self.behaviour = BatchedMLP(members, [size + actions, *hidden, actions])
        self.returns = BatchedMLP(members, [size + actions, *hidden, 1])
        plain = {"change_std": torch.ones(size), "reward_mean": 0.0, "reward_std": 1.0}
        for name, otherwise in plain.items():
            known = spec.statistics.get(name, otherwise)
            self.register_buffer(name, torch.as_tensor(known, dtype=torch.float32))

    def optimised(self) -> Mapping[str, nn.Module]:
        """One optimiser per ensemble."""
        return {"model": self.model, "behaviour": self.behaviour, "returns": self.returns}

    # Losses.

    def targets(self, batch: Batch) -> Targets:
        """What a batch of windows, whose context is one step, teaches."""
        raw, real = batch.observation["state"], batch.mask  # (B, S, D), (B, S)
        horizon, ended = self.settings.return_horizon, batch.terminal
        change = (raw[:, 1] - raw[:, 0]) / self.change_std
        rewards = batch.rewards[:, :horizon].sum(dim=1) / horizon  # padding pays nothing
        paid = (torch.stack((batch.rewards[:, 0], rewards)) - self.reward_mean) / self.reward_std
        followed = torch.cat((real[:, 1:2].expand_as(change), real[:, :1]), dim=-1)
        return Targets(
            state=self.states(raw[:, 0]),
            action=self.bounds.scaled(batch.actions[:, 0]),
            previous=self.blurred(self.bounds.scaled(batch.previous_actions[:, 0])),
            outcome=torch.cat((change, paid[0][:, None]), dim=-1),
            returns=paid[1],
            followed=followed,
            whole=real[:, horizon - 1] | ended[:, :horizon].any(dim=1),
        )

    def errors(self, of: Targets) -> dict[str, Tensor]:
        """Mean squared errors of each ensemble, and of the model's two parts: of all members on the
        same steps (B, …), or of each on steps of its own (E, B, …).
        """
        told, before = torch.cat(of[:2], dim=-1), torch.cat((of.state, of.previous), dim=-1)
        outcome = (self.model(told) - of.outcome).square()  # (E, B, D + 1)
        action = (self.behaviour(before) - of.action).square().mean(dim=-1)
        returns = (self.returns(told)[..., 0] - of.returns).square()
        known, real = of.followed.expand_as(outcome), of.followed[..., -1].expand_as(action)
        return {
            "model": masked_mean(outcome, known),
            "behaviour": masked_mean(action, real),
            "returns": masked_mean(returns, of.whole.expand_as(returns)),
            "state": masked_mean(outcome[..., :-1], known[..., :-1]),
            "reward": masked_mean(outcome[..., -1], real),
        }

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """Every member learns from draws of its own: window i of a batch is member i mod E's; what
        cannot be shared out evenly is left out.
        """
        members = self.settings.members
        even = len(batch.mask) // members * members
        if not even:
            raise PipelineError(
                f"training.batch_size: {len(batch.mask)} windows for {members} members; raise it"
            )
        own = (dealt(x[None, :even], members) for x in self.targets(batch))
        errors = self.errors(Targets(*own))
        for name in self.optimised():
            yield name, errors[name]

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What the prior would do, and the mean errors of all members, standardised: of the next
        state, the reward and the return.
        """
        of = self.targets(batch)
        errors = self.errors(of)
        means = {f"{name}_error": errors[name] for name in ("state", "reward", "returns")}
        return self.bounds.restored(self.propose(of.state, of.previous))[:, None], means

    # Act.

    def propose(self, state: Tensor, previous: Tensor) -> Tensor:
        """The mean of the behaviour ensemble within [-1, 1]: (B, D), (B, A) → (B, A)."""
        proposed: Tensor = self.behaviour(torch.cat((state, previous), dim=-1))
        return proposed.mean(dim=0).clamp(-1, 1)

    def start(self, episodes: int) -> Plan:
        """Nothing is planned before the first step."""
        return Plan()

    def act(self, moment: Moment, state: Plan) -> tuple[Tensor, Plan]:  # type: ignore[override]
        """The first action of a new plan."""
        seen = self.states(moment.observation["state"][:, 0])
        previous = self.bounds.scaled(moment.previous_action[:, 0])
        planner = self.settings.planner
        if planner.horizon == 0:
            return self.bounds.restored(self.propose(seen, previous)), state
        shape = planner.horizon, self.settings.imagined, previous.shape[-1]
        noise = planner.noise * moment.noise(*shape)
        actions, returns = self.imagine(seen, previous, noise, state.steps)
        plan = weighted_plan(actions, returns, planner.sharpness)
        return self.bounds.restored(plan[:, 0]), Plan(plan)

    def predict(self, first: Tensor, actions: Tensor) -> Tensor:
        """The mean of the models' next states, step by step; see `Predictor`."""
        states, taken = [first], self.bounds.scaled(actions)
        for t in range(actions.shape[1]):
            told = torch.cat((self.states(states[-1]), taken[:, t]), dim=-1)
            change = self.model(told)[..., :-1].mean(dim=0) * self.change_std
            states.append(states[-1] + change)
        return torch.stack(states[1:], dim=1)

    def imagine(
        self, seen: Tensor, previous: Tensor, noise: Tensor, last: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Actions (B, N, H, A) and returns (B, N) of trajectories from `seen` (B, D).

        `noise` (B, H, N, A) is added to what the prior proposes after `previous` (B, A); `last` (B,
        H, A) is the plan of the step before. Member i mod E imagines trajectory i.
        """
        count, horizon, trajectories, _ = noise.shape
        members, inertia = self.settings.members, self.settings.planner.inertia
        state, action = (
            dealt(x[:, None].expand(-1, trajectories, -1), members) for x in (seen, previous)
        )
        total, actions = state.new_zeros(state.shape[:2]), []
        for t in range(horizon):
            action = self.behaviour(torch.cat((state, action), dim=-1)) + dealt(
                noise[:, t], members
            )
            if last is not None:  # shifted by the step that has been taken; its end is kept
                kept = last[:, min(t + 1, horizon - 1), None].expand(-1, trajectories, -1)
                action = (1 - inertia) * action + inertia * dealt(kept, members)
            action = action.clamp(-1, 1)
            outcome = self.model(torch.cat((state, action), dim=-1))
            state = state + outcome[..., :-1] * self.change_std / self.states.std
            total = total + self.reward_mean + self.reward_std * outcome[..., -1]
            actions.append(collected(action, count))
        # The last action's reward is in the sum, so what it is worth is asked where it has led.
        ahead = self.returns(torch.cat((state, action), dim=-1).flatten(0, 1))  # of all members
        mean = self.reward_mean + self.reward_std * ahead[..., 0].mean(dim=0).view_as(total)
        total = total + self.settings.return_horizon * mean
        return torch.stack(actions, dim=2), collected(total, count)
