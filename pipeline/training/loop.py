"""One training loop for every method; it knows batches and losses only (method §2, training
hyper-parameters).

AdamW with linear warm-up and cosine decay, gradient clipping, an average of the weights if asked
for, and a curve whose held-out columns come from whole episodes that are never trained on, beside
two baselines that a policy has to beat.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from pipeline.config.schema import TrainingConfig, TrainingPrecision
from pipeline.errors import PipelineError
from pipeline.hardware import distributed
from pipeline.hardware.devices import mixed_precision
from pipeline.methods import Learner
from pipeline.observations.batch import Batch
from pipeline.observations.window_indices import repeat_starts, sample_ends
from pipeline.observations.windows import Windows
from pipeline.training.curve import CurveRow, mean_losses
from pipeline.training.held_out_metrics import ACCURACIES, ERRORS, draw_held_out, split_steps
from pipeline.training.optimizer import Optimizer, averaged
from pipeline.training.resume import Resumption

RANKS_APART = 1_000_003
"""Between the seeds of processes that train together, for what each draws of its own."""


def train(
    learner: Learner,
    windows: Windows,
    settings: TrainingConfig,
    seed: int,
    keep: Callable[[int, Learner], None] = lambda step, learner: None,
    saved: Resumption | None = None,
) -> list[CurveRow]:
    """Train `learner` in place and return its curve; the same seed gives the same curve.

    `keep` is called with the number of updates done and the learner as it would be played then, at
    every `settings.checkpoint_every` before the last. With `saved` the training is saved now and
    then, and goes on from where a killed one was saved, to the same bytes. Where several processes
    train together, each calls this. Raises PipelineError naming the step if a loss or its gradient
    is not finite.
    """
    drawn = _drawn_from(windows, settings, seed)
    held_out = draw_held_out(windows, settings, seed)
    generator = np.random.default_rng(seed)
    phases = learner.phases(settings.steps)
    optimizers = {
        name: Optimizer(module, settings, name, phases.get(name))
        for name, module in learner.optimised().items()
    }
    stored = {name: each.adamw for name, each in optimizers.items()}
    learner.train()
    weights = _Weights(learner, settings.weight_average)
    done = 0
    rows: list[CurveRow] = []
    losses: list[dict[str, float]] = []
    share = distributed.share(settings.batch_size)
    with distributed.together(windows.device), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + distributed.rank() * RANKS_APART)  # dropout, noise
        if saved and (progress := saved.load(weights, stored)):
            generator.bit_generator.state = progress["generator"]
            rows = [CurveRow(**row) for row in progress["rows"]]
            done, losses = progress["step"], progress["losses"]
        left, quiet = range(done, settings.steps), distributed.rank() > 0
        bar = tqdm(left, "train", settings.steps, initial=done, unit="step", disable=quiet)
        for step in bar:
            places = sample_ends(generator, drawn, settings.batch_size)[share]
            batch = windows.placed(places, settings.windows)
            losses.append(_update(learner, optimizers, batch, settings.precision, step))
            weights.follow()
            if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
                rates = {name: each.rate(step) for name, each in optimizers.items()}
                measured = held_out.measure(weights.played, settings.precision)
                rows.append(CurveRow(step + 1, mean_losses(losses, [*rates]), rates, measured))
                bar.set_postfix(_shown(rows[-1]))
                losses.clear()
            every = settings.checkpoint_every
            if every and (step + 1) % every == 0 and step + 1 < settings.steps:
                keep(step + 1, weights.played)
            if saved and saved.due(step + 1, at_row=not losses):  # after a checkpoint is kept
                state = {"generator": generator.bit_generator.state, "losses": losses}
                curve = [asdict(row) for row in rows]
                saved.save(weights, stored, {**state, "step": step + 1, "rows": curve})
        if not rows:  # without any update the curve has what it begins with
            untrained, rates = mean_losses([], [*optimizers]), dict.fromkeys(optimizers, 0.0)
            measured = held_out.measure(weights.played, settings.precision)
            rows.append(CurveRow(0, untrained, rates, measured))
    weights.settle()
    return rows


def _update(
    learner: Learner,
    optimizers: Mapping[str, Optimizer],
    batch: Batch,
    precision: TrainingPrecision,
    step: int,
) -> dict[str, float]:
    """One update on a batch, a step of each optimiser in the method's order; returns the losses."""
    losses: dict[str, float] = {}
    for name, loss in _losses(learner, batch, precision, step):
        if name not in optimizers:
            raise PipelineError(
                f"training: a loss for {name!r}, but the method's optimised() has "
                f"{', '.join(optimizers)} only"
            )
        losses[name], norm = optimizers[name].take(loss, step)
        if not (math.isfinite(losses[name]) and math.isfinite(norm)):
            which = "loss" if len(optimizers) == 1 else f"{name} loss"
            raise PipelineError(
                f"training: {which} {losses[name]} with gradient norm {norm} at step {step}, "
                f"{_place(batch.index.cpu())}; lower training.learning_rate, or look for NaN in "
                "the data and the cache"
            )
    return losses


def _losses(
    learner: Learner, batch: Batch, precision: TrainingPrecision, step: int
) -> Iterator[tuple[str, Tensor]]:
    """The learner's losses, each computed in `precision`; what is done with them is not."""
    losses = iter(learner.losses(batch, step))
    while True:
        with mixed_precision(precision):
            computed = next(losses, None)
        if computed is None:
            return
        yield computed


def _drawn_from(windows: Windows, settings: TrainingConfig, seed: int) -> list[NDArray[np.int64]]:
    """Of each task the steps that windows may end at, each as often as it is to be drawn."""
    steps = windows.drawn_from(split_steps(windows, settings, seed)[0])
    groups = windows.by_task(steps)
    if not all(map(len, groups)):
        raise PipelineError(
            f"{windows.trajectories.source}: no step to train on; every episode was cut after its "
            "first step, and the method looks ahead"
        )
    timesteps = windows.trajectories.timesteps
    weighted = settings.start_steps, settings.start_weight
    return [repeat_starts(group, timesteps[group], *weighted) for group in groups]


def _place(ends: Tensor) -> str:
    """Which windows a batch consists of, to find one that is at fault."""
    named = ", ".join(str(end) for end in ends[:8].tolist())
    more = f" and {len(ends) - 8} more" if len(ends) > 8 else ""
    return f"in the batch of windows that end at the data set's steps {named}{more}"


def _shown(row: CurveRow) -> dict[str, str]:
    """What the progress bar says of a row."""
    shown = {name: value for name, value in row.columns().items() if name.startswith("train_loss")}
    shown |= {
        name: value for name, value in row.held_out.items() if name in (ACCURACIES[0], ERRORS[0])
    }
    return {name.removeprefix("train_"): f"{value:.3f}" for name, value in shown.items()}


class _Weights(nn.Module):
    """All weights of a training: those that it changes and, with a `decay`, their average."""

    def __init__(self, learner: Learner, decay: float) -> None:
        super().__init__()
        self.learner = learner
        self.average = averaged(learner, decay) if decay else None

    @property
    def played(self) -> Learner:
        """The learner as it would be played now."""
        if self.average is None:
            return self.learner
        played = self.average.module
        assert isinstance(played, Learner)
        return played

    def follow(self) -> None:
        """Take the last update into the average."""
        if self.average:
            self.average.update_parameters(self.learner)

    def settle(self) -> None:
        """The training has ended: the learner is the one that is played."""
        if self.average:
            self.learner.load_state_dict(self.played.state_dict())
