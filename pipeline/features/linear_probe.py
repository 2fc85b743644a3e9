"""What can be read from the frozen embeddings: a linear probe of the machine's own coordinates
(ball, paddle, player).

E(S) of sampled frames enters, pooled by mean and by maximum over its tokens; ridge regression
predicts the bytes of the machine's memory that hold coordinates; R² on frames of held-out stretches
leaves.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config.schema import Precision
from pipeline.errors import PipelineError
from pipeline.features.encoders import Encoder
from pipeline.features.step_encoder import StepEncoder
from pipeline.io.artefact import Artefact
from pipeline.vision.detectors import Regions

SAMPLES = 4000
RIDGE = 1e-2
STRETCH = 200
"""Steps are held out in stretches of this length, so no near-copy of a test frame is trained on."""


def coordinates(
    encoder: Encoder,
    sentences: list[str],
    frames: Artefact,
    regions: Artefact,
    variables: dict[str, int],
    precision: Precision = "float32",
) -> dict[str, float]:
    """Held-out R² of each of `variables` (name → address in the machine's memory) from E(S).

    NaN for frames that come from a source's own files, without the machine's memory. Raises
    PipelineError for an address outside the memory.
    """
    if not variables:
        return {}
    if "step_state" not in frames.names:
        return dict.fromkeys(variables, float("nan"))
    size = frames.shape("step_state")[1]
    for name, address in variables.items():
        if not 0 <= address < size:
            raise PipelineError(
                f"state_variables: {name}: address {address}; the machine has 0 to {size - 1}"
            )
    step_frame = frames.read("step_frame")
    steps = np.linspace(0, len(step_frame) - 1, min(SAMPLES, len(step_frame))).astype(np.int64)
    steps = np.unique(steps)
    step_encoder = StepEncoder(None, encoder, sentences, precision)
    features = _features(step_encoder, regions, step_frame[steps])
    state = frames.read("step_state")[steps]
    held_out = (steps // STRETCH) % 4 == 3
    return {
        name: ridge_r2(features, state[:, address].astype(np.float64), held_out)
        for name, address in variables.items()
    }


def _features(
    step_encoder: StepEncoder, regions: Artefact, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean and maximum over the region tokens of O(s, first prompt): (samples, 2·d)."""
    parts = []
    for batch in np.array_split(rows, max(1, len(rows) // 200)):
        found = Regions.gather(regions, batch)
        index = torch.arange(len(batch))
        embeddings = step_encoder.encode_regions(found, index, torch.zeros_like(index))
        tokens = embeddings.tokens[:, step_encoder.text_tokens :].float()  # (B, N, d)
        largest = tokens.masked_fill(~found.mask[..., None], -torch.inf).amax(1)  # (B, d)
        largest = largest.masked_fill(~found.mask.any(1, keepdim=True), 0.0)  # frame without region
        parts.append(torch.cat([embeddings.pooled[:, 1].float(), largest], dim=1))
    return torch.cat(parts).double().numpy()


def ridge_r2(
    features: NDArray[np.float64], target: NDArray[np.float64], held_out: NDArray[np.bool_]
) -> float:
    """R² on the held-out rows of ridge regression on the others; NaN for a constant target."""
    train, test = ~held_out, held_out
    if not test.any() or target[test].std() == 0:
        return float("nan")
    mean, std = features[train].mean(0), features[train].std(0) + 1e-6
    x = (features - mean) / std
    y = target - target[train].mean()
    gram = x[train].T @ x[train] + RIDGE * train.sum() * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x[train].T @ y[train])
    residual = y[test] - x[test] @ weights
    return float(1 - (residual**2).sum() / ((y[test] - y[test].mean()) ** 2).sum())
