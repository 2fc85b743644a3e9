"""What stage one will take, before it runs: exact counts, and a trial of a few batches.

Rendered frames, prompts and trajectories enter. The trial runs the very code of detection and
encoding on frames spread over the data set, by an encoder with initial weights. Its seconds and
bytes per frame and pair are multiplied. `storage: pooled` takes the same time as `tokens`.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pipeline.config.schema import FeaturesConfig
from pipeline.errors import PipelineError
from pipeline.features import encoders, feature_cache
from pipeline.features.feature_cache import Pairs
from pipeline.features.prompts import Prompts
from pipeline.features.step_encoder import StepEncoder
from pipeline.io.artefact import Artefact, ArtefactWriter
from pipeline.io.disk_space import GB, require_space, stored_bytes
from pipeline.io.resumable import PartsWriter
from pipeline.vision import regions
from pipeline.vision.detectors import Detector

PROBE_SECONDS = 20.0
"""Of a slow detector: then the probe has fewer frames, but four at least."""
HOUR = 3600.0


@dataclass(frozen=True)
class Estimate:
    """Of one data set and one kind of features."""

    steps: int
    frames: int
    """Distinct ones."""
    pairs: int
    """Distinct (frame, prompt) pairs."""
    probed_frames: int
    detect_hours: float
    encode_hours: float
    regions_bytes: float
    tokens_bytes: float
    pooled_bytes: float


def estimate(
    config: FeaturesConfig,
    detector: Detector,
    frames: Artefact,
    pairs: Pairs,
    prompts: Prompts,
    device: torch.device | str = "cpu",
    published: Path | None = None,
) -> Estimate:
    """Count, probe, multiply; `published` are the weights that the encoder begins with, if any."""
    total = frames.shape("frames")[0]
    rows = np.linspace(0, total - 1, _probe_size(config, detector, frames)).astype(np.int64)
    rows = np.unique(rows)
    some = _restricted(pairs, rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = _sample(frames, rows, folder / "frames.h5")
        found = folder / "regions.h5"
        detecting = _seconds(lambda: _detect(detector, sample, found))
        encoder = _encoder(config, detector, prompts, folder / "encoder", device, published)
        built = folder / "cache.h5"
        tokens = config.model_copy(update={"storage": "tokens"})
        stored = Artefact(found, "regions")
        _encode(tokens, encoder, stored, some, prompts, folder / "warm.h5")
        encoding = _seconds(lambda: _encode(tokens, encoder, stored, some, prompts, built))
        made = Artefact(built, "cache")
        arrays = {name: made.read(name) for name in ("tokens", "mask", "pooled")}
        indices = {"pair_frame": pairs.frame, "pair_prompt": pairs.prompt, "step_pair": pairs.step}
        fixed = stored_bytes(folder, indices)
        tokens_bytes = fixed + _extrapolated(folder, arrays, len(pairs.frame))
        del arrays["tokens"]
        pooled_bytes = fixed + _extrapolated(folder, arrays, len(pairs.frame))
        arrays = {name: stored.read(name) for name in stored.names}
        regions_bytes = _extrapolated(folder, arrays, total)
    count = len(pairs.frame)
    return Estimate(
        steps=len(pairs.step),
        frames=total,
        pairs=count,
        probed_frames=len(rows),
        detect_hours=detecting / len(rows) * total / HOUR,
        encode_hours=encoding / len(some.frame) * count / HOUR,
        regions_bytes=regions_bytes,
        tokens_bytes=tokens_bytes,
        pooled_bytes=pooled_bytes,
    )


def as_text(estimates: pd.DataFrame) -> str:
    """A line per data set and features, for people; see `read` for the columns."""
    shown = pd.DataFrame(
        {
            "dataset": estimates["dataset"],
            "features": estimates["features"],
            **{name: estimates[name].map("{:,}".format) for name in ("steps", "frames", "pairs")},
            "detect h": estimates["detect_hours"].map("{:.3g}".format),
            "encode h": estimates["encode_hours"].map("{:.3g}".format),
            **{
                f"{name} GB": (estimates[f"{name}_bytes"] / GB).map("{:.3g}".format)
                for name in ("regions", "tokens", "pooled")
            },
        }
    )
    return shown.to_string(index=False)


def totals(estimates: pd.DataFrame) -> tuple[float, float, float]:
    """Hours, bytes, and bytes at the most; regions that several features share count once.

    At the most: while the largest file is put together, its parts are there as well.
    """
    own = estimates.drop_duplicates(["dataset", "regions"])
    chosen = estimates["tokens_bytes"].where(
        estimates["storage"] == "tokens", estimates["pooled_bytes"]
    )
    hours = own["detect_hours"].sum() + estimates["encode_hours"].sum()
    held = own["regions_bytes"].sum() + chosen.sum()
    return float(hours), float(held), float(held + max(own["regions_bytes"].max(), chosen.max()))


def check_disk(estimates: pd.DataFrame, folder: Path) -> None:
    """Raise PipelineError where the plan does not fit on the disk of `folder`."""
    require_space(folder, totals(estimates)[2])


def as_row(found: Estimate, **names: str) -> pd.DataFrame:
    """One row: names (`dataset`, `features`, `regions`, `storage`), then the fields of Estimate."""
    return pd.DataFrame([{**names, **asdict(found)}])


def read(paths: Sequence[Path]) -> pd.DataFrame:
    """The rows of `as_row`, from CSV files; PipelineError without any."""
    if not paths:
        raise PipelineError(
            "plan: no method in the configuration's tables reads embeddings, so that stage one has "
            "nothing to do; name one, such as more3s"
        )
    return pd.concat([pd.read_csv(path, encoding="utf-8") for path in paths], ignore_index=True)


def _probe_size(config: FeaturesConfig, detector: Detector, frames: Artefact) -> int:
    """Frames to probe: two batches, or as many of them as there is time for."""
    most = min(2 * max(regions.BATCH, config.encoding_batch), frames.shape("frames")[0])
    few = frames.read("frames", 0, 2)
    detector(few)  # warms up
    each = _seconds(lambda: detector(few)) / len(few)
    return int(np.clip(PROBE_SECONDS / each, min(4, most), most))


def _restricted(pairs: Pairs, rows: NDArray[np.int64]) -> Pairs:
    """The pairs of some frames, numbered by their place in `rows`."""
    kept = np.isin(pairs.frame, rows)
    frame = np.searchsorted(rows, pairs.frame[kept])
    return Pairs(frame, pairs.prompt[kept], np.arange(len(frame)))


def _sample(frames: Artefact, rows: NDArray[np.int64], path: Path) -> Artefact:
    """An artefact of some frames."""
    with ArtefactWriter(path, "frames", {}) as writer:
        writer.create("frames", frames.shape("frames")[1:], frames.dtype("frames"))
        for row in rows.tolist():
            writer.append("frames", frames.read("frames", row, row + 1))
    return Artefact(path, "frames")


def _extrapolated(folder: Path, arrays: Mapping[str, NDArray[Any]], rows: int) -> float:
    """Bytes of `rows` rows, if further ones take what the second half of `arrays` takes."""
    count = len(next(iter(arrays.values())))
    half = count // 2
    whole = stored_bytes(folder, arrays)
    begun = stored_bytes(folder, {name: values[:half] for name, values in arrays.items()})
    return whole + (whole - begun) / (count - half) * (rows - count)


def _detect(detector: Detector, sample: Artefact, path: Path) -> None:
    with PartsWriter(path, "regions", {}) as writer:
        regions.detect(detector, sample, writer)


def _encoder(
    config: FeaturesConfig,
    detector: Detector,
    prompts: Prompts,
    folder: Path,
    device: torch.device | str,
    published: Path | None,
) -> StepEncoder:
    encoders.create(config.encoder, detector.feature_size, prompts.sentences, folder, published)
    model = encoders.load(config.encoder, folder, device)
    return StepEncoder(None, model, prompts.sentences, config.precision)


def _encode(
    config: FeaturesConfig,
    encoder: StepEncoder,
    found: Artefact,
    some: Pairs,
    prompts: Prompts,
    path: Path,
) -> None:
    with PartsWriter(path, "cache", {}) as writer:
        feature_cache.build(config, encoder, found, some, prompts, writer)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
