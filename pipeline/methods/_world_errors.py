"""What a world model of steps is trained on, beside what its trunk is used for."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.hardware import distributed
from pipeline.nn.masking import masked_mean
from pipeline.nn.step_world import Imagination
from pipeline.observations.batch import Batch

STANDING_STILL = 1e-3
"""Added to how far x moves in a step, which its error is divided by."""


class World(Protocol):
    """What imagines steps."""

    def follow(self, hidden: Tensor, x: Tensor, actions: Tensor) -> Imagination:
        """After h and x (B, K, width) and actions (B, K)."""
        ...

    def decode(self, x: Tensor, task: Tensor) -> Tensor:
        """The whitened embeddings (B, K, 2 · embed) that x tells of."""
        ...


def world_errors(world: World, x: Tensor, hidden: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Of windows read as x and h (B, K, width): the error of the next x, 1 where it is as good as
    x_t itself; of the embeddings that are read from x_t and from x̂_{t+1}; of the reward's sign; of
    the end.
    """
    told, real = world.follow(hidden, x, batch.actions), batch.mask
    followed = real[:, :-1] & real[:, 1:]
    following, before = x[:, 1:].detach(), x[:, :-1].detach()
    still = distributed.mean(masked_mean(_square(following - before), followed)) + STANDING_STILL
    missed = masked_mean(_square(told.x[:, :-1] - following), followed)
    z = batch.observation["pooled"].flatten(2).float()  # frozen statistics of the data
    decoded, imagined = world.decode(x, batch.task), world.decode(told.x[:, :-1], batch.task)
    return {
        "latent_error": missed / still,
        "decoder_error": masked_mean(_square(decoded - z), real),
        "imagined_error": masked_mean(_square(imagined - z[:, 1:]), followed),
        **outcome_errors(told.reward, told.end, batch),
    }


def outcome_errors(reward: Tensor, end: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Cross-entropies of logits of the reward's sign (B, K, 3), and of the end (B, K)."""
    sign = batch.rewards.sign().long() + 1
    paid = functional.cross_entropy(reward.transpose(1, 2), sign, reduction="none")
    ended = functional.binary_cross_entropy_with_logits(
        end, batch.terminal.to(torch.float32), reduction="none"
    )
    return {
        "reward_error": masked_mean(paid, batch.mask),
        "end_error": masked_mean(ended, batch.mask),
    }


def _square(difference: Tensor) -> Tensor:
    """The mean over the last dimension."""
    return difference.square().mean(dim=-1)
