"""Trajectory Transformer (Janner et al. 2021, arXiv 2106.02039): one model of states, actions,
rewards and values, all as tokens, and a beam search in what it imagines.

A step is (s_1 … s_D, a_1 … a_A, r, V) with V_t = Σ_{k>t} γ^{k−t−1} r_k, each number in a bin. After
an end comes a token of its own; an episode that was cut is taken to go on with its mean reward. A
plan's score is Σ_{i≤t} γ^i E[r_i] + γ^{t+1} E[V_t]. After `jannerm/trajectory-transformer`; what
differs is in docs/planners.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.config.methods.trajectory_transformer import Settings
from pipeline.data.statistics import discounted_returns
from pipeline.data.trajectories import Trajectories
from pipeline.methods import Learner, Moment, Spec
from pipeline.nn.discretise import Discretiser
from pipeline.nn.histogram_loss import histogram_loss
from pipeline.nn.masking import masked_mean
from pipeline.nn.token_model import Columns, TokenModel
from pipeline.nn.token_planning import Planner
from pipeline.observations.batch import Batch


class Targets(NamedTuple):
    """Windows as tokens; an ending step is followed by the token of the end."""

    tokens: Tensor
    """(B, K, J) int64."""
    read: Tensor
    """(B, K, J − 1) int64: the same as they are read, of states with the noise of training."""
    following: Tensor
    """(B, K) int64: column 0 of the next step."""
    followed: Tensor
    """(B, K) bool: there is a next step, or an end."""
    mask: Tensor
    """(B, K) bool: the step is real."""


@dataclass(frozen=True)
class History:
    """The last steps of an episode."""

    steps: Tensor | None = None
    """(episodes, steps, J − 1) int64, whole."""
    seen: Tensor | None = None
    """(episodes, D) int64: the state of the step that is being taken."""

    def select(self, rows: Tensor) -> "History":
        """Keep only the episodes `rows`."""
        return History(*(None if x is None else x[rows] for x in (self.steps, self.seen)))


class TrajectoryTransformer(Learner):
    """The learner; see the module."""

    settings: Settings
    recorded_values: Tensor
    """(T,) V of every recorded step; in training only."""
    deviation: Tensor
    """(D,) of the recorded states; in training only."""

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        (space,) = spec.actions
        (states,) = spec.shape["state"]
        self.columns = Columns(states, space.size)
        bins = Discretiser(self.columns.count, settings.bins)
        self.model = TokenModel(settings, settings.context_length - 1, bins)
        if (data := spec.statistics.get("trajectories")) is not None:
            self._learn_from(data)

    @property
    def bins(self) -> Discretiser:
        """Numbers ↔ tokens."""
        return self.model.discretiser

    def _learn_from(self, data: Trajectories) -> None:
        gamma = self.settings.discount
        values = (discounted_returns(data, gamma) - data.rewards) / gamma
        columns = (data.observations, data.actions, data.rewards[:, None], values[:, None])
        numbers = np.concatenate([np.asarray(x, np.float32) for x in columns], axis=1)
        self.bins.fit(numbers)
        deviation = numbers[:, : self.columns.states].std(axis=0)
        known = {"recorded_values": values, "deviation": deviation}
        for name, each in known.items():
            buffer = torch.from_numpy(each.astype(np.float32))
            self.register_buffer(name, buffer, persistent=False)

    # Losses.

    def targets(self, batch: Batch, noise: float = 0) -> Targets:
        """The tokens of windows, and what follows each of their steps, the last one too; states are
        read with `noise` of so many deviations of the data.
        """
        after, following = batch.observation["state"][:, 1:], batch.mask[:, 1:]
        batch = batch.context_only()
        mask, ended, seen = batch.mask, batch.terminal, batch.observation["state"]
        steps = batch.index[:, None] + torch.arange(1 - mask.shape[1], 1, device=mask.device)
        value = self.recorded_values[steps.clamp(min=0)]  # padding is masked
        paid = torch.stack((batch.rewards, value), dim=-1)
        tokens = self.bins.tokens(torch.cat((seen, batch.actions, paid), dim=-1))
        read = tokens[..., :-1]
        if noise:
            # drawn on the processor, whose generator is saved
            drawn = torch.randn(seen.shape).to(seen.device)
            near = seen + noise * self.deviation * drawn
            read = torch.cat((self.bins.tokens(near), read[..., self.columns.states :]), dim=-1)
        first = self.bins.tokens(after)[..., 0]
        known = mask & (ended | following)
        return Targets(tokens, read, torch.where(ended, self.bins.end, first), known, mask)

    def nats(
        self, batch: Batch, noise: float = 0, width: float = 0
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Of each kind of token the cross-entropies, and which of them count."""
        of = self.targets(batch, noise)
        within, next_ = self.model(of.read, of.mask)
        goals = torch.cat((of.following[..., None], of.tokens[..., 1:]), dim=-1)  # (B, K, J)
        logits = torch.cat((next_[:, :, None], within), dim=2)
        errors = histogram_loss(logits, goals, width, ordered=self.bins.bins)
        real = of.mask[..., None].expand(goals.shape).clone()
        real[..., 0] = of.followed
        return {
            name: (errors[..., part], real[..., part]) for name, part in self.columns.kinds.items()
        }

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """The mean over all tokens, those of actions weighted."""
        parts = self.nats(batch, self.settings.state_noise, self.settings.target_width)
        errors = [
            (self.settings.action_weight if name == "action" else 1) * x
            for name, (x, _) in parts.items()
        ]
        real = torch.cat([each for _, each in parts.values()], dim=-1)
        yield "policy", masked_mean(torch.cat(errors, dim=-1), real)

    def read(self, batch: Batch) -> tuple[None, Mapping[str, Tensor]]:
        """Nats per token of each kind."""
        means = {f"{k}_nats": masked_mean(*each) for k, each in self.nats(batch).items()}
        return None, means

    # Act.

    def start(self, episodes: int) -> History:
        """Nothing has been seen yet."""
        return History()

    def act(self, moment: Moment, state: History) -> tuple[Tensor, History]:  # type: ignore[override]
        """The first action of the best plan."""
        now = self._observed(moment, state)
        assert now.seen is not None
        seen = now.seen if now.steps is None else torch.cat((now.steps.flatten(1), now.seen), dim=1)
        return self.bins.values(self.planner.action(seen, moment.noise), self.columns.states), now

    @property
    def planner(self) -> Planner:
        """Plans in what the model imagines."""
        return Planner(self.model, self.columns, self.settings.planner, self.settings.discount)

    def predict(self, first: Tensor, actions: Tensor) -> Tensor:
        """What most probably follows, token by token; see `Predictor`."""
        chosen = self.bins.tokens(actions, self.columns.states)
        planner, states = self.planner, list[Tensor]()
        rows = planner.begin(self.bins.tokens(first))
        for t in range(actions.shape[1]):
            rows, state = planner.follow(rows, chosen[:, t])
            states.append(self.bins.values(state))
        return torch.stack(states, dim=1)

    def _observed(self, moment: Moment, state: History) -> History:
        """The history with the last step whole, and the state that is seen now."""
        seen = self.bins.tokens(moment.observation["state"][:, 0])
        whole = self.settings.planner.context - 1  # steps before this one
        if state.seen is None or whole == 0:
            return History(None, seen)
        done = torch.cat((moment.previous_action[:, 0], moment.previous_reward), dim=-1)
        last = torch.cat((state.seen, self.bins.tokens(done, self.columns.states)), dim=-1)[:, None]
        steps = last if state.steps is None else torch.cat((state.steps, last), dim=1)
        return History(steps[:, -whole:], seen)
