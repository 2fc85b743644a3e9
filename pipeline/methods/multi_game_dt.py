"""Multi-Game Decision Transformer (Lee et al. 2022, arXiv 2205.15241): a model of returns, actions
and rewards of many games, which plays as an expert would by inferring an expert's return.

A step is (patches of s_t, R̂_t, a_t, r_t), all but the patches as tokens of a small vocabulary. The
patches of one picture see each other. Only the first return of a window is told, and learned; it is
read at the last patch, a_t at R̂_t, and r_t at a_t. In play the return of the window's first step is
drawn from P(R̂ | expert), and then a_t is read. What differs from the published notebook is in
docs/several_games.md.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.methods.multi_game_dt import Settings
from pipeline.data.statistics import clipped_returns
from pipeline.methods import Learner, Moment, Spec
from pipeline.nn.action_head import ActionEmbedding, ActionHead
from pipeline.nn.dropout import HistoryDropout
from pipeline.nn.kv_cache import Positions
from pipeline.nn.local_tokens import ConvolvedTokens, FrameTokens
from pipeline.nn.masking import first_real, only_allowed, weighted_loss
from pipeline.nn.recent_steps import RecentSteps
from pipeline.nn.return_bins import ReturnBins, best_drawn, drawn, of_experts, uniform
from pipeline.nn.reward_tokens import REWARD_TOKENS, reward_tokens
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.transformer import Transformer, initialise
from pipeline.observations.batch import Batch

LOWEST, HIGHEST = -20, 100
"""Returns, of rewards clipped to their signs, are clipped to this range: 121 whole numbers."""
SAMPLES, SHARPENING = 128, 0.75
"""Draws of the best return, and what multiplies its logits, in the published notebook."""


class MultiGameDecisionTransformer(Learner):
    """The learner; see the module."""

    settings: Settings
    allowed: Tensor
    """(tasks, actions) bool."""
    clipped_returns: Tensor
    """(T,) Σ_{k≥t} sign(r_k) of every recorded step; in training only."""

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        actions, width, tasks = spec.choices, settings.width, len(spec.tasks)
        shape = spec.shape["frames"]
        self.patches = (
            FrameTokens(shape, settings.patch_size, width, tasks)
            if settings.pictures == "squares"
            else ConvolvedTokens(shape, width, tasks, whole=settings.pictures == "whole")
        )
        self.bins = ReturnBins(HIGHEST - LOWEST + 1, LOWEST, HIGHEST)
        self.returns = nn.Embedding(self.bins.count, width)
        self.actions = ActionEmbedding(actions, width)
        self.rewards = nn.Embedding(REWARD_TOKENS, width)
        self.kinds = nn.Parameter(0.2 * torch.randn(3, width))
        self.hide = HistoryDropout(settings.history_dropout)
        self.time = TimeEmbedding(settings.time_embedding, width, settings.max_timesteps)
        self.transformer = Transformer(
            settings,
            attention_span=settings.context_length - 1,
            relative=settings.time_embedding == "relative",
        )
        self.return_head = nn.Linear(width, self.bins.count)
        self.action_head = ActionHead(width, actions)
        self.reward_head = nn.Linear(width, REWARD_TOKENS)
        for part in (self.returns, self.actions, self.rewards, self.return_head, self.reward_head):
            part.apply(initialise)
        nn.init.normal_(self.patches.place, std=0.02)
        self.register_buffer("allowed", spec.allowed, persistent=False)
        told = spec.per_task or (spec.statistics,)
        self.patches.fit(spec.statistics, told)
        if all("trajectories" in each for each in told):  # in training
            clipped = np.concatenate([clipped_returns(each["trajectories"]) for each in told])
            self.register_buffer("clipped_returns", torch.from_numpy(clipped), persistent=False)

    # Tokens, in the order of a step: patches, R̂_t, a_t, r_t.

    def tokens(
        self, patches: Tensor, returns: Tensor, told: Tensor, actions: Tensor, rewards: Tensor
    ) -> Tensor:
        """(B, S · (P + 3), width) of patches (B, S, P, width), bins of returns (B, S), of which
        only the `told` ones (B, S) are more than their kind, and actions and rewards (B, S).
        """
        known = self.returns(returns) * told[..., None]
        played = self.hide(self.actions(actions)), self.rewards(rewards)
        after = torch.stack((known, *played), dim=2) + self.kinds  # (B, S, 3, width)
        return torch.cat((patches, after), dim=2).flatten(1, 2)

    def positions(self, steps: int) -> Positions:
        """Where tokens stand: the patches of one picture at the same place."""
        order = torch.cat((torch.zeros(self.patches.count), torch.arange(1, 4))).long()
        step = torch.arange(steps).repeat_interleave(len(order))
        return Positions(order.repeat(steps) + 4 * step, step)

    def visible(self, mask: Tensor, told: Tensor) -> Tensor:
        """(B, S · (P + 3)) bool: what may be attended to, all real tokens but later returns."""
        visible = mask[..., None].repeat(1, 1, self.patches.count + 3)
        visible[..., self.patches.count] = told
        return visible.flatten(1)

    def seen(self, batch: Batch | Moment, timesteps: Tensor) -> Tensor:
        """The patches of frames (B, S, …), of each game as its own are: (B, S, P, width)."""
        patches: Tensor = self.patches(batch.observation["frames"], batch.task)
        return patches.add(self.time(timesteps)[..., None, :])

    # Losses.

    def errors(self, batch: Batch) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]:
        """Logits of a_t, (B, K, actions); and of returns, actions and rewards the cross-entropies
        (B, K), and which of them count.
        """
        mask, first, patches = batch.mask, first_real(batch.mask), self.patches.count
        steps = batch.index[:, None] + torch.arange(1 - mask.shape[1], 1, device=mask.device)
        returns = self.bins.encode(self.clipped_returns[steps.clamp(min=0)])  # padding is masked
        rewards = reward_tokens(batch.rewards, batch.terminal)
        seen = self.seen(batch, batch.timesteps)
        x = self.tokens(seen, returns, first, batch.actions, rewards)
        hidden, _ = self.transformer(x, self.positions(mask.shape[1]), self.visible(mask, first))
        hidden = hidden.unflatten(1, (mask.shape[1], -1))  # (B, K, P + 3, width)
        read = only_allowed(self.action_head(hidden[:, :, patches]), self.allowed[batch.task])
        told = {
            "return": (self.return_head(hidden[:, :, patches - 1]), returns, first),
            "action": (read, batch.actions, mask),
            "reward": (self.reward_head(hidden[:, :, patches + 1]), rewards, mask),
        }
        return read, {name: (_nats(*each[:2]), each[2]) for name, each in told.items()}

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """CE of a + w_R CE of R̂ + w_r CE of r."""
        yield "policy", self.read(batch)[1]["loss"]

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What it would do for the return as it was, the loss, and its three parts."""
        of, (read, errors) = self.settings, self.errors(batch)
        weights = {"action": 1.0, "return": of.return_weight, "reward": of.reward_weight}
        loss, means = weighted_loss(errors, weights)
        return read, {"loss": loss, **{f"{name}_nats": mean for name, mean in means.items()}}

    # Act.

    def start(self, episodes: int) -> RecentSteps:
        """Nothing has been seen yet."""
        return RecentSteps()

    def act(self, moment: Moment, state: RecentSteps) -> tuple[Tensor, RecentSteps]:  # type: ignore[override]
        """Logits of a_t, for the return that an expert would reach from the window's first step."""
        paid = moment.previous_reward
        step = {
            "patches": self.seen(moment, moment.timestep),
            "before_action": moment.previous_action,
            "before_reward": reward_tokens(paid, torch.zeros_like(paid).bool()),
        }
        state = state.followed_by(step, self.settings.context_length)
        logits = self.logits(state, uniform(moment.noise(SAMPLES)))
        allowed = only_allowed(logits, self.allowed[moment.task])
        return self.most_probable(allowed, moment.task), state

    def logits(self, recent: RecentSteps, uniforms: Tensor) -> Tensor:
        """Of all actions, (B, actions), by uniform numbers (B, SAMPLES) for the return."""
        patches, count = recent["patches"], self.patches.count
        before = recent["before_action"], recent["before_reward"]
        actions, rewards = (functional.pad(x[:, 1:], (0, 1)) for x in before)  # the last: not read
        told = torch.zeros_like(rewards, dtype=torch.bool)
        told[:, 0] = True
        places, real = self.positions(told.shape[1]), self.visible(torch.ones_like(told), told)
        # R̂ at the first picture, which nothing is before
        hidden, cache = self.transformer(patches[:, 0], places.slice(0, count))
        expert = self.expert_return(self.return_head(hidden[:, -1]).float(), uniforms)
        x = self.tokens(patches, expert[:, None].expand_as(told), told, actions, rewards)
        rest = slice(count, -2)  # without that picture, and without a_t and r_t
        hidden, _ = self.transformer(x[:, rest], places.slice(count, -2), real[:, rest], past=cache)
        logits: Tensor = self.action_head(hidden[:, -1])
        return logits

    def expert_return(self, logits: Tensor, uniforms: Tensor) -> Tensor:
        """The bin of an expert's return (B,), from logits (B, bins)."""
        if self.settings.return_inference == "bayes":
            return drawn(of_experts(logits, self.settings.optimality), uniforms[:, 0])
        return best_drawn(SHARPENING * logits, uniforms)

    def most_probable(self, logits: Tensor, task: Tensor) -> Tensor:
        """The logits (B, actions) of the share `top_actions` of each game's actions."""
        kept = (self.settings.top_actions * self.allowed[task].sum(dim=-1)).ceil()
        rank = logits.argsort(dim=-1, descending=True).argsort(dim=-1)
        return logits.masked_fill(rank >= kept[:, None], -torch.inf)


def _nats(logits: Tensor, goals: Tensor) -> Tensor:
    """Cross-entropies (B, K) of logits (B, K, …)."""
    return functional.cross_entropy(logits.float().transpose(1, 2), goals, reduction="none")
