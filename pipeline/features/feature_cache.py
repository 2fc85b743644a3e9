"""The feature cache: O_t of every distinct (frame, prompt) pair, once, in one checksummed file
(method §1.5, D1, D2).

Regions, prompts and trajectories enter; an artefact of kind "cache" leaves, with the tokens (or
their means), masks, the step → pair index, and the statistics that whiten the tokens (`token_mean`,
`token_std`, text and regions) and the prediction target z (`pooled_mean`, `pooled_std`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config.schema import FeaturesConfig
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.features.prompts import Prompts
from pipeline.features.step_encoder import Embeddings, StepEncoder
from pipeline.io import running_stats
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import Columns, PartsWriter, Rows
from pipeline.vision.detectors import Regions

MODALITIES = ("text", "regions")


@dataclass(frozen=True)
class Pairs:
    """The distinct (frame, prompt) pairs of a data set, by frame, and which pair each step is."""

    frame: NDArray[np.int64]
    """(P,)"""
    prompt: NDArray[np.int64]
    """(P,)"""
    step: NDArray[np.int64]
    """(T,) pair of each step."""

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """(frames + 1,) first pair of each frame that occurs, and the end."""
        first = np.flatnonzero(np.diff(self.frame, prepend=-1))
        return np.append(first, len(self.frame))

    def batches(self, size: int) -> int:
        """How many batches of `size` whole frames there are."""
        return -(-(len(self.bounds) - 1) // size)

    def batch(self, index: int, size: int) -> slice:
        """The pairs of batch number `index`."""
        frames = len(self.bounds) - 1
        last = min((index + 1) * size, frames)
        return slice(int(self.bounds[index * size]), int(self.bounds[last]))


def distinct_pairs(
    config: FeaturesConfig,
    trajectories: Trajectories,
    step_frame: NDArray[np.int64],
    prompts: Prompts,
    space: ActionSpace,
) -> Pairs:
    """Pair each step's frame with the prompt that decision D1 gives it, and count each pair once.

    Raises PipelineError where frames or prompts belong to other trajectories.
    """
    steps = len(trajectories.actions)
    if len(step_frame) != steps:
        raise PipelineError(
            f"{trajectories.source}: {steps} steps, but the frames were rendered for "
            f"{len(step_frame)}; run render_frames again"
        )
    same_step = config.pairing == "same_step"
    action = trajectories.actions if same_step else trajectories.previous_actions(space)
    key = step_frame * len(prompts.sentences) + prompts.of(action)
    distinct, step = np.unique(key, return_inverse=True)
    frame, prompt = np.divmod(distinct, len(prompts.sentences))
    return Pairs(frame, prompt, step)


def build(
    config: FeaturesConfig,
    encoder: StepEncoder,
    regions: Artefact,
    pairs: Pairs,
    prompts: Prompts,
    writer: PartsWriter,
) -> None:
    """Encode every pair, or the writer's shard of them, in batches of whole frames.

    The region axis is as long as the richest frame of the data set needs, no longer. Raises
    PipelineError where an embedding is not finite.
    """
    writer.attributes |= {"text_tokens": encoder.text_tokens, "storage": config.storage}
    work = _Encoding(config, encoder, regions, pairs, len(prompts.sentences))
    count = pairs.batches(config.encoding_batch)
    writer.run(work.columns, count, work.read, work.compute, work.rows, "encode pairs")
    if writer.shard is None:
        _finish(pairs, prompts, writer)


def merge(
    config: FeaturesConfig,
    pairs: Pairs,
    prompts: Prompts,
    shards: Sequence[Path],
    writer: PartsWriter,
) -> None:
    """Put the shards of `build` together; the statistics are those of an undivided run."""
    found = writer.merge(pairs.batches(config.encoding_batch), shards)
    writer.attributes |= {"text_tokens": found["text_tokens"], "storage": config.storage}
    _finish(pairs, prompts, writer)


def richest(regions: Artefact, rows: int = 1 << 16) -> int:
    """Most regions that any frame has; at least 1."""
    total = regions.shape("mask")[0]
    counts = (
        regions.read("mask", start, start + rows).sum(1).max() for start in range(0, total, rows)
    )
    return max(1, *map(int, counts))


def _finish(pairs: Pairs, prompts: Prompts, writer: PartsWriter) -> None:
    """Write what belongs to steps and pairs, and the statistics."""
    pooled, *tokens = (
        {
            name.removeprefix(f"{part}."): total
            for name, total in writer.sums.items()
            if name.startswith(f"{part}.")
        }
        for part in ("pooled", *MODALITIES)
    )
    prompt = {name: writer.sums[f"prompt.{name}"] for name in ("count", "sum")}
    mean = running_stats.mean(pooled)
    writer.write("step_pair", pairs.step)
    writer.write("pair_frame", pairs.frame)
    writer.write("pair_prompt", pairs.prompt)
    writer.write("pooled_mean", mean)
    writer.write("pooled_std", running_stats.std(pooled))
    writer.write("token_mean", np.stack([running_stats.mean(total) for total in tokens]))
    writer.write("token_std", np.stack([running_stats.std(total) for total in tokens]))
    writer.write("prompt_mean", running_stats.group_mean(prompt, default=mean[0]))
    if prompts.action_prompt is not None:
        writer.write("action_prompt", prompts.action_prompt)


@dataclass(frozen=True)
class _Encoding:
    """The work on one batch, in three steps that may overlap."""

    config: FeaturesConfig
    encoder: StepEncoder
    regions: Artefact
    pairs: Pairs
    prompts: int

    @cached_property
    def width(self) -> int:
        """Regions of the richest frame."""
        return richest(self.regions)

    @cached_property
    def columns(self) -> Columns:
        """The arrays that grow with the pairs."""
        tokens = self.encoder.text_tokens + self.width
        columns: dict[str, tuple[tuple[int, ...], type]] = {
            "tokens": ((tokens, self.encoder.width), np.float16),
            "mask": ((tokens,), np.bool_),
            "pooled": ((2, self.encoder.width), np.float16),
        }
        if self.config.storage == "pooled":
            del columns["tokens"]
        return columns

    def read(self, batch: int) -> "_Batch":
        """Read each frame of the batch once."""
        pairs = self.pairs.batch(batch, self.config.encoding_batch)
        rows, index = np.unique(self.pairs.frame[pairs], return_inverse=True)
        found = Regions.gather(self.regions, rows).first(self.width)
        return _Batch(pairs, found, index)

    def compute(self, batch: "_Batch") -> tuple["_Batch", Embeddings]:
        """Encode."""
        prompt = torch.from_numpy(self.pairs.prompt[batch.pairs])
        frame = torch.from_numpy(batch.frame)
        return batch, self.encoder.encode_regions(batch.regions, frame, prompt)

    def rows(self, computed: tuple["_Batch", Embeddings]) -> Rows:
        """Arrays and sums; PipelineError where they are not finite."""
        batch, embeddings = computed
        tokens, mask = embeddings.tokens.cpu().numpy(), embeddings.mask.cpu().numpy()
        pooled = embeddings.pooled.cpu().numpy()
        if not np.isfinite(tokens).all():
            frames = self.pairs.frame[batch.pairs]
            raise PipelineError(
                f"{self.regions.path}: NaN or infinite embeddings for frames "
                f"{frames[0]}–{frames[-1]}; run detect_regions and pretrain_encoder again"
            )
        prompt = self.pairs.prompt[batch.pairs]
        parts = {"pooled": running_stats.sums(pooled)}
        parts["prompt"] = running_stats.group_sums(pooled[:, 0], prompt, self.prompts)
        for name, part in zip(MODALITIES, self.encoder.modalities, strict=True):
            parts[name] = running_stats.sums(tokens[:, part][mask[:, part]])
        arrays = {"tokens": tokens, "mask": mask, "pooled": pooled}
        return Rows(
            {name: arrays[name] for name in self.columns},
            {f"{part}.{name}": v for part, sums in parts.items() for name, v in sums.items()},
        )


@dataclass(frozen=True)
class _Batch:
    """Pairs of some whole frames."""

    pairs: slice
    regions: Regions
    frame: NDArray[np.int64]
    """(B,) into `regions`, of each pair."""
