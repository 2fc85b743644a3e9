"""One training loop for every method; it knows batches and losses only (method §2, training
hyper-parameters).

AdamW with linear warm-up and cosine decay, gradient clipping, an average of the weights if asked
for, and a curve whose held-out columns come from whole episodes that are never trained on, beside
two baselines that a policy has to beat.
"""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from pipeline import methods
from pipeline.config.load import observation_kind
from pipeline.config.schema import MethodConfig, TrainingConfig
from pipeline.data.trajectories import Trajectories
from pipeline.environments import Environment
from pipeline.errors import PipelineError
from pipeline.hardware import distributed
from pipeline.hardware.devices import mixed_precision
from pipeline.io.atomic import replacing
from pipeline.methods import SequencePolicy
from pipeline.nn.transformer import Transformer
from pipeline.observations import ObservationStore, open_store
from pipeline.observations.batch import Batch
from pipeline.observations.window_indices import repeat_starts, sample_ends, split_episodes
from pipeline.observations.windows import Windows, default_return_scale
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Description
from pipeline.training.held_out_metrics import HeldOut, constant_action
from pipeline.training.optimizer import averaged, learning_rate, make_optimizer, update
from pipeline.training.resume import Resumption

HELD_OUT_STEPS = 2048
"""Bound on the held-out steps that a row of the curve is measured on; always the same ones for a
seed.
"""
RANKS_APART = 1_000_003
"""Between the seeds of processes that train together, for what each draws of its own."""


@dataclass(frozen=True)
class CurveRow:
    """One row of the training curve."""

    step: int
    """Updates done."""
    train_loss: float
    """Mean since the last row."""
    learning_rate: float
    held_out: dict[str, float]
    """By column: see `HeldOut.measure`."""


def prepare(
    config: MethodConfig,
    game: Environment,
    data: Trajectories,
    observations: Path,
    seed: int,
    device: str = "cpu",
    begin: Callable[[Transformer], str] | None = None,
) -> tuple[SequencePolicy, Windows, Description]:
    """A new policy, initialised from `seed`, the windows it is trained on, both for `device`, and
    its checkpoint's description.

    `begin` gives a transformer the layers of a language model and says which; it is called where
    the configuration says so.
    """
    store = open_observations(config, game, data, observations)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = methods.make(config, store.shape, store.attributes, game.actions)
    initial = None
    if begin and config.policy.initial_weights == "language_model":
        initial = begin(policy.transformer)
    scale = config.training.return_scale or default_return_scale(data)
    _module(policy).to(device)
    lengths = policy.memory_length, policy.context_length
    windows = Windows(data, store, game.actions, scale, *lengths, device)
    description = checkpoint.describe(
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
    return open_store(observation_kind(config), path, data, config.training.cache_memory_mb)


def train(
    policy: SequencePolicy,
    windows: Windows,
    settings: TrainingConfig,
    seed: int,
    keep: Callable[[int, SequencePolicy], None] = lambda step, policy: None,
    saved: Resumption | None = None,
) -> list[CurveRow]:
    """Train `policy` in place and return its curve; the same seed gives the same curve.

    `keep` is called with the number of updates done and the policy as it would be played then, at
    every `settings.checkpoint_every` before the last. With `saved` the training is saved now and
    then, and goes on from where a killed one was saved, to the same bytes. Where several processes
    train together, each calls this. Raises PipelineError naming the step if the loss or its
    gradient is not finite.
    """
    train_steps, held_out_steps = _split(windows, settings, seed)
    held_out = _held_out(windows, train_steps, held_out_steps, settings.batch_size, seed)
    timesteps = windows.trajectories.timesteps[train_steps]
    drawn = repeat_starts(train_steps, timesteps, settings.start_steps, settings.start_weight)
    generator = np.random.default_rng(seed)
    optimizer = make_optimizer(_module(policy), settings)
    _module(policy).train()
    weights = _Weights(policy, settings.weight_average)
    done = 0
    rows: list[CurveRow] = []
    losses: list[float] = []
    share = distributed.share(settings.batch_size)
    with distributed.together(windows.device), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + distributed.rank() * RANKS_APART)  # dropout
        if saved and (progress := saved.load(weights, optimizer)):
            generator.bit_generator.state = progress["generator"]
            rows = [CurveRow(**row) for row in progress["rows"]]
            done, losses = progress["step"], progress["losses"]
        loss = distributed.wrapped(_Loss(policy))
        left, quiet = range(done, settings.steps), distributed.rank() > 0
        bar = tqdm(left, "train", settings.steps, initial=done, unit="step", disable=quiet)
        for step in bar:
            rate = learning_rate(step, settings)
            ends = sample_ends(generator, drawn, settings.batch_size)[share]
            losses.append(_update(loss, windows, ends, optimizer, rate, settings, step))
            weights.follow()
            if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
                measured = held_out.measure(weights.played, settings.precision)
                rows.append(CurveRow(step + 1, float(np.mean(losses)), rate, measured))
                first = held_out.columns[0]
                bar.set_postfix(
                    {"loss": f"{rows[-1].train_loss:.3f}", first: f"{measured[first]:.3f}"}
                )
                losses.clear()
            every = settings.checkpoint_every
            if every and (step + 1) % every == 0 and step + 1 < settings.steps:
                keep(step + 1, weights.played)
            if saved and saved.due(step + 1, at_row=not losses):  # after a checkpoint is kept
                state = {"generator": generator.bit_generator.state, "losses": losses}
                curve = [asdict(row) for row in rows]
                saved.save(weights, optimizer, {**state, "step": step + 1, "rows": curve})
        del loss  # which holds on to the other processes
    weights.settle()
    return rows


def held_out_windows(windows: Windows, settings: TrainingConfig, seed: int) -> Sequence[Batch]:
    """The windows that held-out columns are measured on; none if no episode is held out."""
    return _held_out(windows, *_split(windows, settings, seed), settings.batch_size, seed).batches


def write_curve(path: Path, rows: Sequence[CurveRow]) -> None:
    """Write the curve as CSV, whole or not at all."""
    lines = [_flat(row) for row in rows]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def _flat(row: CurveRow) -> dict[str, object]:
    """A row as the CSV file has it."""
    values = {"train_loss": row.train_loss, "learning_rate": row.learning_rate, **row.held_out}
    return {"step": row.step, **{name: f"{value:.6g}" for name, value in values.items()}}


class _Weights(nn.Module):
    """All weights of a training: those that it changes and, with a `decay`, their average."""

    def __init__(self, policy: SequencePolicy, decay: float) -> None:
        super().__init__()
        self.policy = _module(policy)
        self.average = averaged(self.policy, decay) if decay else None

    @property
    def played(self) -> Any:
        """The policy as it would be played now."""
        return self.average.module if self.average else self.policy

    def follow(self) -> None:
        """Take the last update into the average."""
        if self.average:
            self.average.update_parameters(self.policy)

    def settle(self) -> None:
        """The training has ended: the policy is the one that is played."""
        if self.average:
            self.policy.load_state_dict(self.played.state_dict())


class _Loss(nn.Module):
    """A policy whose loss is what it is called for, as processes that train together need it."""

    def __init__(self, policy: SequencePolicy) -> None:
        super().__init__()
        self.policy = _module(policy)

    def forward(self, batch: Batch) -> Tensor:
        loss: Tensor = self.policy.loss(batch)[0]  # type: ignore[operator]
        return loss


def _update(
    loss: nn.Module,
    windows: Windows,
    ends: NDArray[np.int64],
    optimizer: torch.optim.Optimizer,
    rate: float,
    settings: TrainingConfig,
    step: int,
) -> float:
    """One optimiser step on the windows that end at `ends`; returns the loss."""
    batch = windows.batch(ends)
    with mixed_precision(settings.precision):
        computed = loss(batch)
    value, norm = update(computed, loss, optimizer, rate, settings.gradient_clip)
    if not (math.isfinite(value) and math.isfinite(norm)):
        raise PipelineError(
            f"training: loss {value} with gradient norm {norm} at step {step}, {_place(ends)}; "
            "lower training.learning_rate, or look for NaN in the data and the cache"
        )
    return value


def _place(ends: NDArray[np.int64]) -> str:
    """Which windows a batch consists of, to find one that is at fault."""
    named = ", ".join(str(end) for end in ends[:8].tolist())
    more = f" and {len(ends) - 8} more" if len(ends) > 8 else ""
    return f"in the batch of windows that end at the data set's steps {named}{more}"


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
    constant = constant_action(windows.actions, windows.trajectories.actions[train_steps])
    count = min(HELD_OUT_STEPS // windows.context_length, len(held_out_steps))
    shuffled = np.random.default_rng(seed).permutation(held_out_steps)
    ends = np.sort(shuffled[:count])  # sorted, so that neighbours share decoded blocks
    starts = range(0, count, batch_size)
    batches = [windows.batch(ends[start : start + batch_size]) for start in starts]
    return HeldOut(batches, constant.to(windows.device))


def _module(policy: SequencePolicy) -> nn.Module:
    """The policy as the module that it also is; a protocol cannot say so."""
    assert isinstance(policy, nn.Module)
    return policy
