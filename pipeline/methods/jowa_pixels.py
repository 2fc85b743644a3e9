"""JOWA (Cheng et al. 2024, arXiv 2410.00564) on pixels, as it was published: 36 tokens of a frame
and an action a step, whose transformer is the world model of one or several games and reads their
values.

What enters: stacked frames, of which the newest is read, and the actions, rewards and ends of
windows. What leaves: logits Q(s, a) / τ or, with a planner, the first action of the best plan.
First the tokenizer is trained, then, with the tokens as they are, world model and values jointly.
Only JOWA's equations are taken, none of its code; what differs, and why: docs/several_games.md.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.methods.jowa_pixels import Settings
from pipeline.methods import Moment
from pipeline.methods._jowa_values import JowaLearner
from pipeline.methods._world_errors import outcome_errors
from pipeline.nn.frame_tokenizer import Drawing, FrameTokenizer
from pipeline.nn.frame_world import Frame, FrameWorld, Outcome
from pipeline.nn.kv_cache import TransformerState
from pipeline.nn.masking import masked_mean
from pipeline.observations.batch import Batch

FRAMES = "frames"


class JOWAOnPixels(JowaLearner[Frame]):
    """The learner; see the module."""

    settings: Settings

    def make_world(self, told: tuple[Mapping[str, Any], ...], actions: int) -> None:
        """A tokenizer of frames, each game's less its own mean, and a model of the tokens."""
        shape = self.spec.shape[FRAMES]
        self.tokenizer = FrameTokenizer(self.settings, shape, len(told))
        self.tokenizer.fit(self.spec.statistics, told)
        self.world = FrameWorld(self.settings, self.tokenizer.count, len(told), actions)

    def optimised(self) -> Mapping[str, nn.Module]:
        """The tokenizer; then world and Q together, and V, which reads the trunk as it is."""
        trunk = nn.ModuleList([self.world, self.q])
        return {"tokenizer": self.tokenizer, "policy": trunk, "value": self.value}

    def phases(self, steps: int) -> Mapping[str, range]:
        """The tokenizer, then the rest."""
        first = self.settings.tokenizer_steps
        later = range(first, steps)
        return {"tokenizer": range(min(first, steps)), "policy": later, "value": later}

    # Losses.

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """The tokenizer, whose codes follow; then world and values."""
        if step >= self.settings.tokenizer_steps:
            yield from self.joint_losses(batch)
            return
        drawing = self.tokenizer.drawing(batch.observation[FRAMES], batch.task)
        yield "tokenizer", self.tokenizer_error(drawing, batch.mask)
        real = batch.mask[..., None].expand(drawing.distance.shape)
        self.tokenizer.codebook.follow(drawing.vectors.flatten(0, 2), real.flatten())

    def tokenizer_error(self, drawing: Drawing, real: Tensor) -> Tensor:
        """Of the pixels of `real` frames (B, K): all, the foreground, what moved; and of codes."""
        settings, counts = self.settings, real[..., None, None]
        return (
            drawing.mean(real)
            + settings.foreground_weight * masked_mean(drawing.error, drawing.foreground & counts)
            + settings.motion_weight * masked_mean(drawing.error, drawing.moved & counts)
            + settings.commitment_weight * masked_mean(drawing.distance.mean(dim=-1), real)
        )

    def world_error(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Of the next token, the reward's sign and the end."""
        return parts["token_error"] + parts["reward_error"] + parts["end_error"]

    def parts(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """See `JowaLearner`."""
        codes = self.tokenizer(batch.observation[FRAMES], batch.task)  # (B, K, P)
        told = batch.actions, batch.task, batch.timesteps, batch.mask
        hidden = self.world.hidden(codes, *told)  # (B, K, P + 1, width)
        q, values = self.value_errors(hidden[:, :, -2], batch)
        outcome = self.world.outcome(hidden[:, :, -1])
        world = {
            "token_error": self.token_error(hidden, codes, batch.mask),
            **outcome_errors(outcome.reward, outcome.end, batch),
        }
        return q, {**world, **values}

    def token_error(self, hidden: Tensor, codes: Tensor, mask: Tensor) -> Tensor:
        """Nats of a code: of a frame's first one from the action before it, of each other from the
        last one.
        """
        first, others = hidden[:, :-1, -1:], hidden[:, :, :-2]
        followed = (mask[:, :-1] & mask[:, 1:])[..., None]
        told = (
            (first, codes[:, 1:, :1], followed),
            (others, codes[:, :, 1:], mask[..., None].expand(others.shape[:-1])),
        )
        before, after, counts = (
            torch.cat([each.flatten(0, 2) for each in part]) for part in zip(*told, strict=True)
        )
        nats = functional.cross_entropy(self.world.following(before), after, reduction="none")
        return masked_mean(nats, counts)

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Q / τ, the parts of the loss, and which share of foreground and motion is not drawn."""
        q, means = super().read(batch)
        drawing = self.tokenizer.drawing(batch.observation[FRAMES], batch.task)
        return q, {
            **means,
            "tokenizer_error": self.tokenizer_error(drawing, batch.mask),
            "foreground_missed": drawing.missed(drawing.foreground, batch.mask),
            "motion_missed": drawing.missed(drawing.moved, batch.mask),
        }

    # Act, and imagine.

    def start(self, episodes: int) -> TransformerState:
        """Nothing is remembered before the first step."""
        return TransformerState()

    def act(self, moment: Moment, state: TransformerState) -> tuple[Tensor, TransformerState]:  # type: ignore[override]
        """Q / τ, or the first action of the best plan."""
        task, timestep = moment.task, moment.timestep
        codes = self.tokenizer(moment.observation[FRAMES], task)[:, 0]
        before = moment.previous_action
        hidden, memory = self.world.step(codes, before, task, timestep, state)
        if self.settings.planner.horizon:
            now = self.world.begin(hidden, memory, task, timestep)
            return self.planned(now, moment), memory
        return self.preferred(hidden, task), memory

    def follow(self, now: Frame, actions: Tensor) -> tuple[Frame, Outcome]:
        """37 tokens more."""
        return self.world.imagine(now, actions)
