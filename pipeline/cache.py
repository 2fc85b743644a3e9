"""The feature cache: O_t of every distinct (frame, prompt) pair, once, in one checksummed file
(method §1.5, D1, D2).

Regions, prompts and trajectories enter; an artefact of kind "cache" leaves, with the tokens (or
their means), masks, the step → pair index, and the statistics that whiten the tokens (`token_mean`,
`token_std`, text and regions) and the prediction target z (`pooled_mean`, `pooled_std`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.actions import ActionSpace
from pipeline.config import FeaturesConfig
from pipeline.detectors import Regions
from pipeline.errors import PipelineError
from pipeline.moments import MeanPerGroup, Moments
from pipeline.prompts import Prompts
from pipeline.step_encoder import Embeddings, StepEncoder
from pipeline.storage import Artefact, ArtefactWriter
from pipeline.trajectories import Trajectories


@dataclass(frozen=True)
class Pairs:
    """The distinct (frame, prompt) pairs of a data set, by frame, and which pair each step is."""

    frame: NDArray[np.int64]
    """(P,)"""
    prompt: NDArray[np.int64]
    """(P,)"""
    step: NDArray[np.int64]
    """(T,) pair of each step."""


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
    writer: ArtefactWriter,
) -> None:
    """Encode every pair in batches of whole frames and write the arrays of the cache.

    The region axis is as long as the richest frame of the data set needs, no longer. Raises
    PipelineError where an embedding is not finite.
    """
    columns = max(1, int(regions.read("mask").sum(1).max()))
    bounds = np.flatnonzero(np.diff(pairs.frame, prepend=-1))  # first pair of each frame
    bounds = np.append(bounds, len(pairs.frame))
    pooled, tokens = Moments(), (Moments(), Moments())
    per_prompt = MeanPerGroup(len(prompts.sentences))
    blocks = range(0, len(bounds) - 1, config.encoding_batch)
    for first in tqdm(blocks, desc="encode pairs", unit="batch"):
        last = min(first + config.encoding_batch, len(bounds) - 1)
        rows = slice(bounds[first], bounds[last])
        embeddings = _encode(encoder, regions, columns, pairs.frame[rows], pairs.prompt[rows])
        if first == 0:
            _create(writer, config, embeddings)
        if config.storage == "tokens":
            writer.append("tokens", embeddings.tokens.numpy())
        writer.append("mask", embeddings.mask.numpy())
        writer.append("pooled", embeddings.pooled.numpy())
        pooled.add(embeddings.pooled.numpy())
        per_prompt.add(embeddings.pooled[:, 0].numpy(), pairs.prompt[rows])
        for moments, part in zip(tokens, encoder.modalities, strict=True):
            moments.add(embeddings.tokens[:, part][embeddings.mask[:, part]].numpy())
    writer.write("step_pair", pairs.step)
    writer.write("pair_frame", pairs.frame)
    writer.write("pair_prompt", pairs.prompt)
    writer.write("pooled_mean", pooled.mean)
    writer.write("pooled_std", pooled.std)
    writer.write("token_mean", np.stack([moments.mean for moments in tokens]))
    writer.write("token_std", np.stack([moments.std for moments in tokens]))
    writer.write("prompt_mean", per_prompt.mean(default=pooled.mean[0]))
    if prompts.action_prompt is not None:
        writer.write("action_prompt", prompts.action_prompt)
    writer.set_attribute("text_tokens", encoder.text_tokens)
    writer.set_attribute("storage", config.storage)


def _encode(
    encoder: StepEncoder,
    regions: Artefact,
    columns: int,
    frame: NDArray[np.int64],
    prompt: NDArray[np.int64],
) -> Embeddings:
    """Encode pairs, reading each of their frames once."""
    rows, index = np.unique(frame, return_inverse=True)
    found = Regions.gather(regions, rows).first(columns)
    embeddings = encoder.encode_regions(found, torch.from_numpy(index), torch.from_numpy(prompt))
    if not torch.isfinite(embeddings.tokens).all():
        raise PipelineError(
            f"{regions.path}: NaN or infinite embeddings for frames {rows[0]}–{rows[-1]}; "
            "run detect_regions and pretrain_encoder again"
        )
    return embeddings


def _create(writer: ArtefactWriter, config: FeaturesConfig, first: Embeddings) -> None:
    """Begin the growing arrays, shaped like the first batch."""
    if config.storage == "tokens":
        writer.create("tokens", tuple(first.tokens.shape[1:]), np.float16)
    writer.create("mask", tuple(first.mask.shape[1:]), np.bool_)
    writer.create("pooled", tuple(first.pooled.shape[1:]), np.float16)
