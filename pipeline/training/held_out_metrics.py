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
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config.schema import TrainingConfig, TrainingPrecision
from pipeline.data.statistics import discounted_returns
from pipeline.environments.action_space import Actions, ActionSpace
from pipeline.hardware.devices import mixed_precision
from pipeline.methods import Learner
from pipeline.nn.masking import counting
from pipeline.observations.batch import Batch
from pipeline.observations.window_indices import split_episodes
from pipeline.observations.windows import Windows

HELD_OUT_STEPS = 2048
"""Bound on the held-out steps that a row of the curve is measured on; always the same ones for a
seed.
"""
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
MONTE_CARLO = "monte_carlo_return"


@dataclass(frozen=True)
class HeldOut:
    """A fixed set of held-out windows."""

    batches: Sequence[Batch]
    constant: Tensor
    """The training episodes' most frequent action (), or their mean one (size,); with `tasks` the
    most frequent one of each, (tasks,).
    """
    monte_carlo: float | None = None
    """Of a method that discounts rewards: the mean discounted return of the windows' last steps,
    to set its values beside; of clipped rewards, where it clips them.
    """
    tasks: Sequence[str] = ()
    """Where there are several: each batch is of one, and every column is there for each as well."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What `measure` gives of actions, beside the method's own means."""
        return ERRORS if self.constant.is_floating_point() else ACCURACIES

    def measure(self, learner: Learner, precision: TrainingPrecision) -> dict[str, float]:
        """`held_out_<name>` of each mean that the learner reads, and the columns if it reads
        actions; NaN where nothing is held out.
        """
        part: dict[str, float] = {}
        whole: dict[str, float] = {}
        # what a method draws to be looked at must not change what it draws next in training
        with _evaluating(learner), torch.no_grad(), torch.random.fork_rng(devices=[]):
            for batch in self.batches:
                with mixed_precision(precision), counting() as counted:
                    read, means = learner.read(batch)
                # What is known of few steps counts for as many: not the rewards after a cut.
                known = {id(mean): count for mean, count in counted}
                steps = batch.mask[:, batch.context].sum()
                counts = {name: known.get(id(mean), steps) for name, mean in means.items()}
                sums = {f"held_out_{k}": (mean * counts[k], counts[k]) for k, mean in means.items()}
                if read is not None:
                    sums |= self._compared(batch, read)
                for name, (sum_, count) in sums.items():
                    part[name] = part.get(name, 0.0) + float(sum_)
                    whole[name] = whole.get(name, 0.0) + float(count)
        names = part if self.batches else ("held_out_loss", *self.columns)
        found = {name: part[name] / whole[name] if whole.get(name) else math.nan for name in names}
        return found if self.monte_carlo is None else found | {MONTE_CARLO: self.monte_carlo}

    def _compared(self, batch: Batch, read: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Of each column, sum and count over the context's real steps."""
        real, action, previous = (
            x[:, batch.context] for x in (batch.mask, batch.actions, batch.previous_actions)
        )  # (B, K, …)
        if self.constant.is_floating_point():
            return _errors(read, action, previous, self.constant, real)
        constant = self.constant[batch.task][:, None] if self.tasks else self.constant
        found = _accuracies(read, action, previous, constant, real)
        if self.tasks:
            task = self.tasks[int(batch.task[0])]
            found |= {f"{name}_{task}": sums for name, sums in found.items()}
        return found


def split_steps(
    windows: Windows, settings: TrainingConfig, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Steps to train on and steps held out: of every task its own share of episodes."""
    data = windows.trajectories
    task = np.zeros(len(data.episode_length), np.int64) if windows.task is None else windows.task
    episodes = np.zeros(len(task), np.bool_)
    for each in np.unique(task):
        count = int((task == each).sum())
        episodes[task == each] = split_episodes(count, settings.held_out_fraction, seed)
    held_out = episodes[data.episode]  # (T,)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def draw_held_out(windows: Windows, settings: TrainingConfig, seed: int) -> HeldOut:
    """Draw the fixed held-out windows; none if no episode is held out."""
    trained, held_out = (windows.by_task(steps) for steps in split_steps(windows, settings, seed))
    actions, tasks = windows.trajectories.actions, windows.task_names
    constants = [constant_action(windows.actions, actions[steps]) for steps in trained]
    constant = (torch.stack(constants) if tasks else constants[0]).to(windows.device)
    drawn = [_drawn(windows, windows.drawn_from(steps), len(held_out), seed) for steps in held_out]
    size = settings.batch_size
    batches = [
        windows.batch(ends[start : start + size])
        for ends in drawn
        for start in range(0, len(ends), size)
    ]
    discount: float | None = getattr(windows.settings, "discount", None)
    if discount is None:
        return HeldOut(batches, constant, tasks=tasks)
    data = windows.trajectories
    clips = getattr(windows.settings, "clip_rewards", False)
    paid = data.rewards.clip(-1, 1) if clips else data.rewards
    returns = discounted_returns(data, discount, paid)[np.concatenate(drawn)]
    mean = float(returns.mean()) if len(returns) else math.nan
    return HeldOut(batches, constant, mean, tasks)


def _drawn(windows: Windows, steps: NDArray[np.int64], tasks: int, seed: int) -> NDArray[np.int64]:
    """Those of a task's `steps` that are measured, each of `tasks` with its share of the bound."""
    count = max(1, HELD_OUT_STEPS // windows.settings.context_length // tasks)
    shuffled = np.random.default_rng(seed).permutation(steps)
    return np.sort(shuffled[:count])  # sorted, so that neighbours share decoded blocks


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
def _evaluating(learner: Learner) -> Iterator[None]:
    """Evaluation mode inside the block."""
    training = learner.training
    learner.eval()
    try:
        yield
    finally:
        learner.train(training)
