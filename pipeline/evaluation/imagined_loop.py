"""How far ahead a model of embeddings is right: the picture halves of O_t that it imagines for
recorded actions, from held-out steps, against those that were recorded.

The model has seen a whole window before. An error is the root of the mean square over the numbers
of a whitened embedding, so it is in deviations of the data.
"""

from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config.table import OpenLoopConfig
from pipeline.errors import PipelineError
from pipeline.evaluation.open_loop import finite_or_infinite, rows_of
from pipeline.evaluation.open_loop_columns import COLUMNS
from pipeline.methods import Learner
from pipeline.observations.batch import Batch
from pipeline.observations.windows import Windows

PICTURE = 1
"""Which of an embedding's two modalities is the picture; the other one is told the action."""


@runtime_checkable
class Imaginer(Protocol):
    """A learner that imagines embeddings; its settings say `can_predict`."""

    def imagined(self, batch: Batch, actions: Tensor) -> dict[str, Tensor]:
        """Whitened embeddings (B, H, 2, embed) after windows, where `actions` (B, H) are taken: by
        the name of what tells them, `own` of the model that plans are made in.
        """
        ...


def starts_of(windows: Windows, held_out: NDArray[np.bool_], config: OpenLoopConfig) -> Tensor:
    """Steps (B,) of held-out episodes (E,), evenly spread over those that as many recorded steps
    follow as are predicted; PipelineError without any.
    """
    data = windows.trajectories
    last = (data.starts + data.episode_length - 1)[data.episode]  # (T,)
    fit = np.flatnonzero(held_out[data.episode] & (np.arange(len(last)) + config.steps <= last))
    if not len(fit):
        raise PipelineError(
            f"{data.source}: no held-out episode of more than {config.steps} steps; lower "
            "open_loop.steps, or raise training.held_out_fraction"
        )
    places = np.linspace(0, len(fit) - 1, min(config.starts, len(fit))).astype(np.int64)
    return torch.from_numpy(fit[places])


def measure(
    learner: Learner,
    parameters: int,
    windows: Windows,
    held_out: NDArray[np.bool_],
    config: OpenLoopConfig,
) -> pd.DataFrame:
    """Columns COLUMNS: errors by steps ahead of all that `learner`, which has as many
    `parameters`, imagines; of the last embedding that was seen (`last`), and of the data's mean.

    Raises PipelineError for a learner that is no `Imaginer`.
    """
    if not isinstance(learner, Imaginer):
        raise PipelineError(
            f"{type(learner).__name__} has no model of embeddings: no imagined; choose another "
            "method"
        )
    starts = starts_of(windows, held_out, config)
    ahead = starts[:, None] + torch.arange(1, config.steps + 1)  # (B, H)
    taken = torch.from_numpy(windows.trajectories.actions)[ahead - 1]
    columns = [windows.store.gather(column[:, None].numpy()) for column in ahead.T]
    recorded = torch.cat([each["pooled"] for each in columns], dim=1)[:, :, PICTURE].float()
    batch = windows.batch(starts.numpy())
    with torch.no_grad():
        told = learner.imagined(batch, taken.to(windows.device))
    found = {name: (parameters, each[:, :, PICTURE].cpu()) for name, each in told.items()}
    seen = batch.observation["pooled"][:, -1:, PICTURE].cpu().float()
    found["last"] = 0, seen.expand_as(recorded)
    found["mean"] = 0, torch.zeros_like(recorded)  # they are whitened
    rows = []
    for name, (count, each) in found.items():
        error = (each - recorded).square().mean(dim=-1).sqrt()  # (B, H)
        rows += rows_of(name, count, finite_or_infinite(error))
    return pd.DataFrame(rows, columns=list(COLUMNS))
