"""One training loop for every method; it knows batches and losses only (method §2, training
hyper-parameters).

AdamW with linear warm-up and cosine decay, gradient clipping, and a curve whose held-out columns
come from whole episodes that are never trained on, beside two baselines that a policy has to beat.
"""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from pipeline import checkpoints, models
from pipeline.atomic import replacing
from pipeline.batches import Windows, default_return_scale
from pipeline.checkpoints import Description
from pipeline.config import MethodConfig, TrainingConfig
from pipeline.config_files import observation_kind
from pipeline.environments import Environment
from pipeline.errors import PipelineError
from pipeline.language_model import begin_with
from pipeline.models import Batch, SequencePolicy
from pipeline.observations import ObservationStore, open_store
from pipeline.optimisation import autocast, learning_rate, make_optimizer, update
from pipeline.resumption import Resumption
from pipeline.trajectories import Trajectories
from pipeline.windows import sample_ends, split_episodes

HELD_OUT_STEPS = 2048
"""Bound on the held-out steps that a row of the curve is measured on; always the same ones for a
seed.
"""


@dataclass(frozen=True)
class CurveRow:
    """One row of the training curve; held-out columns are NaN where no episode is held out."""

    step: int
    """Updates done."""
    train_loss: float
    """Mean since the last row."""
    learning_rate: float
    held_out_loss: float
    held_out_accuracy: float
    """Share of steps whose most probable action is the recorded one."""
    held_out_accuracy_on_change: float
    """The same over steps where a_t ≠ a_{t-1}: a policy that copies its last action has 0 here."""
    majority_accuracy: float
    """Of always taking the training episodes' most frequent action."""
    repeat_accuracy: float
    """Of always taking a_{t-1}."""


@dataclass(frozen=True)
class HeldOut:
    """A fixed set of held-out windows."""

    batches: Sequence[Batch]
    majority: int

    def measure(self, policy: SequencePolicy, settings: TrainingConfig) -> dict[str, float]:
        """The held-out columns of a curve row."""
        totals = np.zeros(6)
        with _evaluating(policy), torch.no_grad():
            for batch in self.batches:
                with autocast(settings.precision):
                    loss, parts = policy.loss(batch)
                real, action, previous = (
                    x[:, batch.memory_length :]
                    for x in (batch.attention_mask, batch.actions, batch.previous_actions)
                )  # (B, K)
                right = (parts["action_logits"].argmax(dim=-1) == action) & real
                change = (action != previous) & real
                counts = (real, right, change, right & change, (action == self.majority) & real)
                totals += [float(count.sum()) for count in counts] + [
                    float(loss) * float(real.sum())
                ]
        steps, right_, changes, right_on_change, majority, loss_sum = totals
        return {
            "held_out_loss": _ratio(loss_sum, steps),
            "held_out_accuracy": _ratio(right_, steps),
            "held_out_accuracy_on_change": _ratio(right_on_change, changes),
            "majority_accuracy": _ratio(majority, steps),
            "repeat_accuracy": _ratio(steps - changes, steps),
        }


def prepare(
    config: MethodConfig,
    game: Environment,
    data: Trajectories,
    observations: Path,
    seed: int,
    language_model: Path | None = None,
) -> tuple[SequencePolicy, Windows, Description]:
    """A new policy, initialised from `seed`, the windows it is trained on, and its checkpoint's
    description.

    Its transformer begins with the layers of `language_model` if the configuration says so.
    """
    store = open_observations(config, game, data, observations)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = models.make(config, store.shape, store.attributes, game.actions)
    initial = None
    if config.policy.initial_weights == "language_model":
        initial = begin_with(language_model, policy)
    scale = config.training.return_scale or default_return_scale(data)
    windows = Windows(data, store, game.actions, scale, policy.memory_length, policy.context_length)
    description = checkpoints.describe(
        config, seed, game.actions, scale, store.shape, store.attributes, initial
    )
    return policy, windows, description


def open_observations(
    config: MethodConfig, game: Environment, data: Trajectories, path: Path
) -> ObservationStore:
    """What the method of `config` observes of `data`; PipelineError where they do not fit."""
    if fault := game.actions.fault(data.actions):
        raise PipelineError(
            f"{data.source}: {fault}; check that the data set names the right environment"
        )
    kind = observation_kind(config.method) or ""
    return open_store(kind, path, data, config.training.cache_memory_mb)


def train(
    policy: SequencePolicy,
    windows: Windows,
    settings: TrainingConfig,
    seed: int,
    keep: Callable[[int], None] = lambda step: None,
    saved: Resumption | None = None,
) -> list[CurveRow]:
    """Train `policy` in place and return its curve; the same seed gives the same curve.

    `keep` is called with the number of updates done, at every `settings.checkpoint_every` before
    the last. With `saved` the training is saved at each row of the curve, and goes on from where a
    killed one was saved, to the same bytes. Raises PipelineError naming the step if the loss or its
    gradient is not finite.
    """
    train_steps, held_out_steps = _split(windows, settings, seed)
    held_out = _held_out(windows, train_steps, held_out_steps, settings.batch_size, seed)
    generator = np.random.default_rng(seed)
    optimizer = make_optimizer(_module(policy), settings)
    rows: list[CurveRow] = []
    losses: list[float] = []
    _module(policy).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout
        if saved and (progress := saved.load(_module(policy), optimizer)):
            generator.bit_generator.state = progress["generator"]
            rows = [CurveRow(**row) for row in progress["rows"]]
        done = rows[-1].step if rows else 0
        bar = tqdm(range(done, settings.steps), "train", settings.steps, initial=done, unit="step")
        for step in bar:
            rate = learning_rate(step, settings)
            batch = windows.batch(sample_ends(generator, train_steps, settings.batch_size))
            losses.append(_update(policy, batch, optimizer, rate, settings, step))
            if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
                measured = held_out.measure(policy, settings)
                rows.append(CurveRow(step + 1, float(np.mean(losses)), rate, **measured))
                bar.set_postfix(
                    loss=f"{rows[-1].train_loss:.3f}", held_out=f"{rows[-1].held_out_accuracy:.3f}"
                )
                losses.clear()
            every = settings.checkpoint_every
            if every and (step + 1) % every == 0 and step + 1 < settings.steps:
                keep(step + 1)
            if saved and rows and rows[-1].step == step + 1:  # after a checkpoint is kept
                state = {"generator": generator.bit_generator.state}
                curve = [asdict(row) for row in rows]
                saved.save(_module(policy), optimizer, state | {"rows": curve})
    return rows


def held_out_windows(windows: Windows, settings: TrainingConfig, seed: int) -> Sequence[Batch]:
    """The windows that held-out columns are measured on; none if no episode is held out."""
    return _held_out(windows, *_split(windows, settings, seed), settings.batch_size, seed).batches


def write_curve(path: Path, rows: Sequence[CurveRow]) -> None:
    """Write the curve as CSV, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(
            file, [field.name for field in fields(CurveRow)], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(
            {
                name: f"{value:.6g}" if isinstance(value, float) else value
                for name, value in asdict(row).items()
            }
            for row in rows
        )


def _update(
    policy: SequencePolicy,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    rate: float,
    settings: TrainingConfig,
    step: int,
) -> float:
    """One optimiser step; returns the loss."""
    with autocast(settings.precision):
        loss, _ = policy.loss(batch)
    value, norm = update(loss, _module(policy), optimizer, rate, settings.gradient_clip)
    if not (math.isfinite(value) and math.isfinite(norm)):
        raise PipelineError(
            f"training: loss {value} with gradient norm {norm} at step {step}; "
            "lower training.learning_rate, or look for NaN in the data and the cache"
        )
    return value


def _split(
    windows: Windows, settings: TrainingConfig, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Steps to train on and steps held out."""
    data = windows.trajectories
    episodes = split_episodes(len(data.episode_length), settings.held_out_fraction, seed)
    held_out = episodes[data.episode]  # (T,)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _held_out(
    windows: Windows,
    train_steps: NDArray[np.int64],
    held_out_steps: NDArray[np.int64],
    batch_size: int,
    seed: int,
) -> HeldOut:
    """Draw the fixed held-out windows; none if no episode is held out."""
    majority = int(np.bincount(windows.trajectories.actions[train_steps]).argmax())
    count = min(HELD_OUT_STEPS // windows.context_length, len(held_out_steps))
    shuffled = np.random.default_rng(seed).permutation(held_out_steps)
    ends = np.sort(shuffled[:count])  # sorted, so that neighbours share decoded blocks
    starts = range(0, count, batch_size)
    return HeldOut([windows.batch(ends[start : start + batch_size]) for start in starts], majority)


@contextmanager
def _evaluating(policy: SequencePolicy) -> Iterator[None]:
    """Evaluation mode inside the block."""
    module = _module(policy)
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def _module(policy: SequencePolicy) -> nn.Module:
    """The policy as the module that it also is; a protocol cannot say so."""
    assert isinstance(policy, nn.Module)
    return policy


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
