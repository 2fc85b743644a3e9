"""Diffuser (Janner et al. 2022, arXiv 2205.09991): a plan is a trajectory read out of noise.

A U-Net learns to take the noise from windows of actions and states, whose first state is given, and
a second network what a window pays. In play N trajectories of H steps are freed of their noise,
level by level, and the first action of the one that is worth most is taken. With a warm start they
begin not with noise, but with the last plan, shifted by a step and given a little noise. After
`jannerm/diffuser`; what differs is in docs/planners.md.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from pipeline.config.methods.diffuser import Settings
from pipeline.methods import Learner, Moment, Spec
from pipeline.methods._robots import STATE
from pipeline.nn.action_head import ActionBounds
from pipeline.nn.diffusion import CosineSchedule, ascended
from pipeline.nn.masking import masked_mean
from pipeline.nn.mlp import Standardise
from pipeline.nn.planning import Plan
from pipeline.nn.temporal_unet import TemporalReader, TemporalUNet
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import sums_ahead


class Diffuser(Learner):
    """The learner; see the module. A trajectory's steps are [action, state], A + D numbers."""

    settings: Settings
    weights: Tensor
    given: Tensor
    reward_mean: Tensor
    reward_std: Tensor

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        (space,) = spec.actions
        (size,), self.components, steps = spec.shape[STATE], space.size, settings.horizon
        self.states, self.bounds = Standardise(size, spec.statistics), ActionBounds(space)
        self.schedule = CosineSchedule(settings.levels)
        numbers, blocks = space.size + size, settings.blocks
        self.plan = TemporalUNet(numbers, settings.channels, blocks)
        self.value = TemporalReader(numbers, steps, settings.value_channels, blocks)
        weights = torch.ones(steps, numbers)
        weights[0, : space.size] = settings.action_weight
        given = torch.zeros(weights.shape, dtype=torch.bool)
        given[0, space.size :] = True
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("given", given, persistent=False)  # (H, J): the first state
        for name, otherwise in {"reward_mean": 0.0, "reward_std": 1.0}.items():
            known = spec.statistics.get(name, otherwise)
            self.register_buffer(name, torch.as_tensor(known, dtype=torch.float32))

    def optimised(self) -> Mapping[str, nn.Module]:
        """One optimiser for plans and one for what they are worth."""
        return {"plan": self.plan, "value": self.value}

    # Losses.

    def trajectories(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What windows hold, (B, H, J), and which steps are to be learned, (B, H) bool.

        After an end there are zeros, which are learned; what follows a cut is not known.
        """
        steps = slice(self.settings.horizon)
        real = batch.mask[:, steps]
        actions = self.bounds.scaled(batch.actions[:, steps])
        held = torch.cat((actions, self.states(batch.observation[STATE][:, steps])), dim=-1)
        ended = batch.terminal[:, steps].cumsum(dim=1) > 0
        return held * real[..., None], real | ended

    def worth(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Σ_{k<R} γ^k r_k of windows, (B,), standardised; and for which it is known."""
        settings = self.settings
        paid = batch.rewards - settings.end_penalty * batch.terminal
        total, known = sums_ahead(batch, paid, settings.return_horizon, settings.discount)
        return (total[:, 0] / self._weight - self.reward_mean) / self.reward_std, known[:, 0]

    @property
    def _weight(self) -> float:
        """Σ_{k<R} γ^k."""
        return sum(self.settings.discount**k for k in range(self.settings.return_horizon))

    def noised(self, clean: Tensor, level: Tensor, noise: Tensor) -> Tensor:
        """Trajectories (B, H, J) with noise of levels (B,), but for their first state."""
        return torch.where(self.given, clean, self.schedule.noised(clean, level, noise))

    def freed(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Trajectories (B, H, J) without noise: the first state as given, actions by a tanh."""
        actions, states = self.plan(noisy, level).tensor_split((self.components,), dim=-1)
        return torch.where(self.given, noisy, torch.cat((actions.tanh(), states), dim=-1))

    def errors(self, clean: Tensor, learned: Tensor, noisy: Tensor, level: Tensor) -> Tensor:
        """Mean square of a plan's error, the first action weighed more."""
        error = self.weights * (self.freed(noisy, level) - clean).square()
        return masked_mean(error.mean(dim=-1), learned)

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """Plans, and at every so many updates what they are worth, on the same noise."""
        clean, learned = self.trajectories(batch)
        level = torch.randint(self.settings.levels, (len(clean),)).to(clean.device)
        noisy = self.noised(clean, level, torch.randn(clean.shape).to(clean.device))
        yield "plan", self.errors(clean, learned, noisy, level)
        if step % self.settings.value_every == 0:
            worth, known = self.worth(batch)
            yield "value", masked_mean((self.value(noisy, level) - worth).square(), known)

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What it would do on the mean of all plans, which is what it reads out of noise alone; the
        plans' error at drawn levels, and that of the worth of plans without noise, standardised.
        """
        clean, learned = self.trajectories(batch)
        drawn = torch.Generator().manual_seed(0)
        noise = torch.randn(clean.shape, generator=drawn).to(clean.device)
        level = torch.randint(self.settings.levels, (len(clean),), generator=drawn).to(clean.device)
        most, least = torch.full_like(level, self.settings.levels - 1), torch.zeros_like(level)
        action = self.freed(self.noised(clean, most, noise), most)[:, :1, : self.components]
        worth, known = self.worth(batch)
        noisy = self.noised(clean, level, noise)
        return self.bounds.restored(action), {
            "plan_error": self.errors(clean, learned, noisy, level),
            "value_error": masked_mean((self.value(clean, least) - worth).square(), known),
        }

    # Act.

    def start(self, episodes: int) -> Plan:
        """Nothing is planned before the first step."""
        return Plan()

    def act(self, moment: Moment, state: Plan) -> tuple[Tensor, Plan]:  # type: ignore[override]
        """The first action of the plan that is worth most."""
        seen, planner = self.states(moment.observation[STATE][:, 0]), self.settings.planner
        warm = state.steps is not None and planner.warm_start > 0
        levels = min(planner.warm_start, self.settings.levels) if warm else self.settings.levels
        shape = levels, planner.plans, *self.given.shape
        noise = planner.noise * moment.noise(*shape)  # (B, levels, N, H, J)
        plans = self.planned(seen, noise, state.steps if warm else None)
        worth = self.value(plans.flatten(0, 1), seen.new_zeros(1).long()).view(plans.shape[:2])
        best = plans[torch.arange(len(plans), device=plans.device), worth.argmax(dim=1)]
        return self.bounds.restored(best[:, 0, : self.components]), Plan(best)

    def planned(self, seen: Tensor, noise: Tensor, last: Tensor | None) -> Tensor:
        """Plans (B, N, H, J) that begin at `seen` (B, D).

        `noise` (B, levels, N, H, J) is all that is drawn: the first is what plans begin with, alone
        or, with the `last` plans (B, H, J), beside these.
        """
        episodes, levels, plans, *_ = noise.shape
        begun = noise[:, 0]
        if last is not None:
            shifted = torch.cat((last[:, 1:], last[:, -1:]), dim=1)[:, None]
            begun = self.schedule.noised(shifted, seen.new_full((1,), levels - 1).long(), begun)
        first = seen.new_zeros(episodes, 1, *self.given.shape)
        first[:, 0, 0, self.components :] = seen
        x = torch.where(self.given, first, begun).flatten(0, 1)  # (B · N, H, J)
        for level in reversed(range(levels)):
            later = noise[:, levels - level].flatten(0, 1) if level else 0.0
            x = self.denoised(x, level, later)
        return x.view(episodes, plans, *self.given.shape)

    def predict(self, first: Tensor, actions: Tensor) -> Tensor:
        """Windows one after another, the first state of each the last one of that before: states
        freed of their noise, of which none is drawn, beside the actions that are given, which have
        as little of their own. See `Predictor`.
        """
        states, taken = [self.states(first)[:, None]], self.bounds.scaled(actions)
        done, horizon = 0, actions.shape[1]
        while done < horizon:
            window = self._beside(states[-1][:, -1], taken[:, done : done + self.settings.horizon])
            states.append(window[:, 1 : horizon - done + 1])
            done += states[-1].shape[1]
        return self.states.restored(torch.cat(states[1:], dim=1))

    def _beside(self, first: Tensor, actions: Tensor) -> Tensor:
        """States (B, H, D) of the window from `first` (B, D) on, whose first actions are given."""
        count, size = actions.shape[1], self.components
        x = first.new_zeros(len(first), *self.given.shape)
        x[:, 0, size:] = first
        for level in reversed(range(self.settings.levels)):
            now = torch.full((1,), level, device=x.device)
            x[:, :count, :size] = self.schedule.noised(actions, now, torch.zeros_like(actions))
            mean, _ = self.schedule.posterior(self.freed(x, now), x, level)
            x = torch.where(self.given, x, mean)
        return x[..., size:]

    def denoised(self, x: Tensor, level: int, noise: Tensor | float) -> Tensor:
        """One level less: (B, H, J) → (B, H, J), with noise (B, H, J) of deviation 1."""
        planner, now = self.settings.planner, torch.full((1,), level, device=x.device)
        _, deviation = self.schedule.posterior(x, x, level)
        if level >= planner.guide_from and planner.guide_steps and planner.guide_scale:
            # the gradient of the sum of rewards, of which the network reads the standardised mean
            rate = planner.guide_scale * deviation**2 * self._weight * float(self.reward_std)
            x = ascended(x, lambda y: self.value(y, now), rate, planner.guide_steps, self.given)
        mean, _ = self.schedule.posterior(self.freed(x, now), x, level)
        return torch.where(self.given, x, mean + deviation * noise)
