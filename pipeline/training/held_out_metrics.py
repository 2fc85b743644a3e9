"""What is measured on held-out windows: steps of whole episodes that are never trained on, beside
two baselines that a policy has to beat.

Of discrete actions the share that is right, of continuous ones the mean square of the error.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.config.schema import Precision
from pipeline.environments.action_space import Actions, ActionSpace
from pipeline.hardware.devices import mixed_precision
from pipeline.methods import SequencePolicy
from pipeline.observations.batch import Batch

ACCURACIES = (
    "held_out_accuracy",  # share of steps whose most probable action is the recorded one
    "held_out_accuracy_on_change",  # over steps where a_t ≠ a_{t-1}: copying the last one has 0
    "majority_accuracy",  # of always taking the training episodes' most frequent action
    "repeat_accuracy",  # of always taking a_{t-1}
)
ERRORS = (
    "held_out_mse",  # mean over steps and components of the squared error
    "mean_action_mse",  # of always taking the training episodes' mean action
    "repeat_mse",  # of always taking a_{t-1}
)


@dataclass(frozen=True)
class HeldOut:
    """A fixed set of held-out windows."""

    batches: Sequence[Batch]
    constant: Tensor
    """The training episodes' most frequent action (), or their mean one (size,)."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What `measure` gives, beside the loss."""
        return ERRORS if self.constant.dim() else ACCURACIES

    def measure(self, policy: SequencePolicy, precision: Precision) -> dict[str, float]:
        """`held_out_loss` and the columns; NaN where nothing is held out."""
        part = dict.fromkeys(("held_out_loss", *self.columns), 0.0)
        whole = dict(part)
        compare = _errors if self.constant.dim() else _accuracies
        with _evaluating(policy), torch.no_grad():
            for batch in self.batches:
                with mixed_precision(precision):
                    loss, parts = policy.loss(batch)
                real, action, previous = (
                    x[:, batch.memory_length :]
                    for x in (batch.attention_mask, batch.actions, batch.previous_actions)
                )  # (B, K, …)
                (read,) = (x for name, x in parts.items() if name in READ)
                found = compare(read, action, previous, self.constant, real)
                for name, (sum_, count) in {
                    "held_out_loss": (loss * real.sum(), real.sum()),
                    **found,
                }.items():
                    part[name] += float(sum_)
                    whole[name] += float(count)
        return {name: part[name] / whole[name] if whole[name] else math.nan for name in part}


READ = ("action_logits", "action_prediction")
"""A loss's part that says what was read for a_t, as the environment's actions are."""


def constant_action(space: ActionSpace, actions: Actions) -> Tensor:
    """What a policy that sees nothing would do after `actions` (T, …): see `HeldOut.constant`."""
    if space.continuous:
        return torch.from_numpy(actions.mean(axis=0, dtype=np.float64).astype(np.float32))
    return torch.tensor(np.bincount(actions).argmax())


def _accuracies(
    logits: Tensor, action: Tensor, previous: Tensor, majority: Tensor, real: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """Of each column the steps that are right and the steps that count."""
    right = (logits.argmax(dim=-1) == action) & real
    change = (action != previous) & real
    sums = (right, right & change, (action == majority) & real, ~change & real)
    counts = (real, change, real, real)
    pairs = zip(sums, counts, strict=True)
    return {name: (a.sum(), b.sum()) for name, (a, b) in zip(ACCURACIES, pairs, strict=True)}


def _errors(
    prediction: Tensor, action: Tensor, previous: Tensor, mean: Tensor, real: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """Of each column the squared errors of the steps that count, and their number."""
    guesses = zip(ERRORS, (prediction, mean, previous), strict=True)
    return {
        name: (((guess - action).square().mean(dim=-1) * real).sum(), real.sum())
        for name, guess in guesses
    }


@contextmanager
def _evaluating(policy: SequencePolicy) -> Iterator[None]:
    """Evaluation mode inside the block."""
    assert isinstance(policy, nn.Module)
    training = policy.training
    policy.eval()
    try:
        yield
    finally:
        policy.train(training)
