"""Trajectory Autoencoding Planner (TAP; Jiang et al. 2023, arXiv 2208.10291): plans are sequences
of codes, each of which stands for several steps of states, actions, rewards and values.

First an autoencoder learns codes of windows, then, with the codes as they are, a prior learns which
code follows which. In play a beam search looks for codes whose decoded rewards and last value are
large and whose probability is not too small, and the first action of the best is taken. After
`ZhengyaoJiang/latentplan`; what differs is in docs/planners.md.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.methods.tap import Settings
from pipeline.methods import ActingState, Learner, Moment, Spec
from pipeline.methods._robots import STATE
from pipeline.nn.action_head import ActionBounds
from pipeline.nn.code_plans import CodePlans, follow_actions
from pipeline.nn.codebook import Codebook
from pipeline.nn.latent_search import gumbel, latent_search
from pipeline.nn.masking import masked_mean
from pipeline.nn.mlp import Standardise
from pipeline.nn.trajectory_codes import CodePrior, Steps, TrajectoryAutoencoder
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import sums_ahead


class TAP(Learner):
    """The learner; see the module."""

    settings: Settings
    weights: Tensor
    reward_mean: Tensor
    reward_std: Tensor

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        (space,) = spec.actions
        (self.size,), self.components = spec.shape[STATE], space.size
        self.states, self.bounds = Standardise(self.size, spec.statistics), ActionBounds(space)
        numbers = self.size, self.components, 3
        codebook = Codebook(settings.codebook, settings.code_width, settings.code_decay)
        self.autoencoder = TrajectoryAutoencoder(
            settings, numbers, settings.window, settings.code_steps, codebook
        )
        self.prior = CodePrior(settings, self.size, settings.codebook, settings.window_codes)
        weights = torch.ones(sum(numbers) - 1)
        weights[self.size : self.size + self.components] = settings.action_weight
        self.register_buffer("weights", weights, persistent=False)
        for name, otherwise in {"reward_mean": 0.0, "reward_std": 1.0}.items():
            known = spec.statistics.get(name, otherwise)
            self.register_buffer(name, torch.as_tensor(known, dtype=torch.float32))

    def optimised(self) -> Mapping[str, nn.Module]:
        """One optimiser for each phase."""
        return {"autoencoder": self.autoencoder, "prior": self.prior}

    def phases(self, steps: int) -> Mapping[str, range]:
        """The autoencoder, then the prior."""
        first = self.settings.autoencoder_steps
        return {"autoencoder": range(min(first, steps)), "prior": range(first, steps)}

    # Losses.

    def steps(self, batch: Batch) -> Steps:
        """What windows hold. A value is Σ_{k<R} γ^k r_{t+1+k}, as a mean of rewards."""
        settings = self.settings
        now, count = slice(settings.window), settings.return_horizon
        real, ends = batch.mask[:, now], batch.terminal[:, now]
        ended = ends.cumsum(dim=1) > 0
        totals, told = sums_ahead(batch, batch.rewards, count, settings.discount)
        paid = torch.stack((batch.rewards[:, now], totals[:, 1:] / self._weight), dim=-1)
        held = (
            self.states(batch.observation[STATE][:, now]),
            self.bounds.scaled(batch.actions[:, now]),
            (paid - self.reward_mean) / self.reward_std,
        )
        x = torch.cat((torch.cat(held, dim=-1) * real[..., None], ended[..., None]), dim=-1)
        known = real[..., None].repeat(1, 1, x.shape[-1])
        known[..., -2] = real & (told[:, 1:] | ends)  # after an end nothing is paid
        known[..., -1] = real | ended
        return Steps(x, known)

    @property
    def _weight(self) -> float:
        """Σ_{k<R} γ^k."""
        return sum(self.settings.discount**k for k in range(self.settings.return_horizon))

    def reconstruction(self, of: Steps, decoded: Tensor) -> Tensor:
        """Weighted mean square of what was recorded, and cross-entropy of whether it has ended."""
        error = self.weights * (decoded[..., :-1] - of.x[..., :-1]).square()
        ended = functional.binary_cross_entropy_with_logits(
            decoded[..., -1], of.x[..., -1], reduction="none"
        )
        return masked_mean(error, of.known[..., :-1]) + masked_mean(ended, of.whole)

    def readable(self, of: Steps) -> Tensor:
        """Which codes stand for steps that are all known: (B, M) bool."""
        return of.whole.view(len(of.x), -1, self.settings.code_steps).all(dim=-1)

    def likelihood(self, index: Tensor, of: Steps) -> Tensor:
        """The prior's cross-entropy of codes (B, M), in nats."""
        logits = self.prior(index[:, :-1], of.x[:, 0, : self.size])
        error = functional.cross_entropy(logits.transpose(1, 2), index, reduction="none")
        return masked_mean(error, self.readable(of))

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """The autoencoder, whose codes follow; then the prior of the codes."""
        of, model = self.steps(batch), self.autoencoder
        if step < self.settings.autoencoder_steps:
            vectors, found = model.quantise(of.x)
            decoded = model.decode(found.codes, of.x[:, 0, : self.size])
            readable = self.readable(of)
            commitment = self.settings.commitment_weight * masked_mean(found.distance, readable)
            yield "autoencoder", self.reconstruction(of, decoded) + commitment
            model.codebook.follow(vectors.flatten(0, 1), readable.flatten())
            return
        model.eval()  # codes are what they are in play
        with torch.no_grad():
            index = model.codebook.nearest(model.encode(of.x))
        yield "prior", self.likelihood(index, of)

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What the most probable codes would do, how well windows are read from their own codes, of
        actions, states, rewards and values, standardised, and the prior's nats per code.
        """
        of, size = self.steps(batch), self.size
        _, found = self.autoencoder.quantise(of.x)
        first = of.x[:, 0, :size]
        square = (self.autoencoder.decode(found.codes, first) - of.x).square()
        parts = {"state": slice(size), "action": slice(size, -3)}
        parts |= {"reward": slice(-3, -2), "value": slice(-2, -1)}
        means = {
            f"{name}_error": masked_mean(square[..., part], of.known[..., part])
            for name, part in parts.items()
        }
        likely = self.prior(found.chosen[:, :0], first)[:, -1].argmax(dim=-1, keepdim=True)
        action = self.action(self.autoencoder.imagine(likely, first))
        return action[:, None], {**means, "prior_nats": self.likelihood(found.chosen, of)}

    # Act.

    def action(self, decoded: Tensor) -> Tensor:
        """The first action (B, A), within its bounds, of decoded plans (B, H, D + A + 3)."""
        chosen = decoded[:, 0, self.size : self.size + self.components]
        return self.bounds.restored(chosen.clamp(-1, 1))

    def worth(self, decoded: Tensor) -> Tensor:
        """Σ_{t<H} γ^t r̂_t + γ^H V̂_{H−1}, each as far as the episode has not ended before: (B,)."""
        paid = self.reward_mean + self.reward_std * decoded[..., -3:-1]  # (B, H, 2)
        going_on = decoded[..., -1].neg().sigmoid()  # (B, H): it has not ended by then
        before = torch.cat((torch.ones_like(going_on[:, :1]), going_on[:, :-1]), dim=1)
        places = torch.arange(1 + paid.shape[1], device=paid.device)
        discounts = self.settings.discount**places
        rewards = (discounts[:-1] * before * paid[..., 0]).sum(dim=1)
        total: Tensor = rewards + discounts[-1] * self._weight * going_on[:, -1] * paid[:, -1, 1]
        return total

    def predict(self, first: Tensor, actions: Tensor) -> Tensor:
        """Windows one after another, each from the last state of that before, by the likely codes
        whose actions are nearest to those that are given; see `Predictor`.
        """
        states, taken = [self.states(first)[:, None]], self.bounds.scaled(actions)
        done, horizon = 0, actions.shape[1]
        while done < horizon:
            seen, goal = states[-1][:, -1], taken[:, done : done + self.settings.window]
            window = follow_actions(self.prior, self.autoencoder, seen, goal)
            states.append(window[:, 1 : horizon - done + 1, : self.size])
            done += states[-1].shape[1]
        return self.states.restored(torch.cat(states[1:], dim=1))

    def act(self, moment: Moment, state: ActingState) -> tuple[Tensor, ActingState]:
        """The first action of the best plan that is found from here; nothing is carried."""
        seen, planner = self.states(moment.observation[STATE][:, 0]), self.settings.planner
        codes = min(planner.codes, self.settings.window_codes)
        shape = codes, planner.beams, self.settings.codebook
        noise = seen.new_zeros(len(seen), *shape)
        if planner.temperature:
            noise = planner.temperature * gumbel(moment.noise(*shape))

        best = latent_search(
            CodePlans.begin(self.prior, self.autoencoder, seen),
            lambda plans: self.worth(plans.decoded),
            noise,
            beams=planner.beams,
            expand=planner.expand,
            threshold=planner.threshold,
            support_weight=planner.support_weight,
        )
        return self.action(best.decoded), state
