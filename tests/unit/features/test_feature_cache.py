"""The feature cache: its rows are what acting would encode, each part computed once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from encoding import (
    FEATURES,
    PROMPTS,
    SPACE,
    encoder,
    frames,
    live,
    trajectories,
    write_frames,
    write_regions,
)
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config.schema import FeaturesConfig
from pipeline.errors import PipelineError
from pipeline.features import feature_cache
from pipeline.features.encoders import Encoder, PromptStates
from pipeline.features.step_encoder import StepEncoder
from pipeline.io import running_stats
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter
from pipeline.io.shard import Shard
from pipeline.vision.detectors import Regions

COUNT = 9
STEP_FRAME = np.array([0, 1, 2, 3, 3, 4, 5, 0, 1, 6, 7, 8])
"""Frames come back: at once, and at the start of the second episode."""
NOOP = 0
SAME_STEP = FEATURES.model_copy(update={"pairing": "same_step"})


class Counting:
    """An encoder that counts what it is asked for."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.width, self.text_tokens = encoder.width, encoder.text_tokens
        self.feature_size = encoder.feature_size
        self.sentences: list[str] = []
        self.frames = self.pairs = 0

    def encode_prompts(self, sentences: list[str]) -> PromptStates:
        self.sentences += sentences
        return self._encoder.encode_prompts(sentences)

    def encode_frames(self, regions: Regions) -> Tensor:
        self.frames += len(regions.mask)
        return self._encoder.encode_frames(regions)

    def encode_pairs(
        self, prompts: PromptStates, prompt: Tensor, frames: Tensor, regions_mask: Tensor
    ) -> Tensor:
        self.pairs += len(prompt)
        return self._encoder.encode_pairs(prompts, prompt, frames, regions_mask)


def pairs_of(config: FeaturesConfig) -> feature_cache.Pairs:
    return feature_cache.distinct_pairs(config, trajectories(), STEP_FRAME, PROMPTS, SPACE)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Artefact]:
    regions = write_regions(
        tmp_path / "regions.h5", write_frames(tmp_path / "frames.h5", COUNT, STEP_FRAME)
    )

    def build(
        config: FeaturesConfig = FEATURES, wrapped: Encoder | None = None, name: str = "cache.h5"
    ) -> Artefact:
        step_encoder = StepEncoder(
            None, wrapped or encoder(tmp_path / "encoder"), PROMPTS.sentences
        )
        with PartsWriter(tmp_path / name, "cache", {}) as writer:
            feature_cache.build(config, step_encoder, regions, pairs_of(config), PROMPTS, writer)
        return Artefact(tmp_path / name, "cache")

    return build


@pytest.mark.parametrize("config", [FEATURES, SAME_STEP], ids=["previous_action", "same_step"])
def test_every_step_finds_its_frame_and_prompt(config: FeaturesConfig) -> None:
    data, pairs = trajectories(), pairs_of(config)
    expected = []
    for step in range(len(data.actions)):
        action = data.actions[step]
        if config.pairing == "previous_action":
            action = NOOP if step in (0, 7) else data.actions[step - 1]
        expected.append((int(STEP_FRAME[step]), int(PROMPTS.action_prompt[action])))
    distinct = list(zip(pairs.frame.tolist(), pairs.prompt.tolist(), strict=True))
    assert [distinct[pair] for pair in pairs.step] == expected
    assert distinct == sorted(set(expected))


def test_steps_that_are_not_the_frames_are_refused() -> None:
    with pytest.raises(PipelineError, match="12 steps, but the frames were rendered for 11"):
        feature_cache.distinct_pairs(FEATURES, trajectories(), STEP_FRAME[:-1], PROMPTS, SPACE)


def test_actions_without_a_prompt_are_refused() -> None:
    few = type(PROMPTS)(PROMPTS.sentences, PROMPTS.action_prompt[:2])
    with pytest.raises(PipelineError, match="prompts of 2 actions"):
        feature_cache.distinct_pairs(FEATURES, trajectories(), STEP_FRAME, few, SPACE)


def test_a_row_is_what_acting_would_encode(tmp_path: Path, build: Callable[..., Artefact]) -> None:
    stored, step_encoder, screens = build(), live(tmp_path / "encoder"), frames(COUNT)
    width = stored.shape("tokens")[1]
    pairs = zip(stored.read("pair_frame"), stored.read("pair_prompt"), strict=True)
    for row, (frame, prompt) in enumerate(pairs):
        now = step_encoder(screens[frame : frame + 1], torch.tensor([prompt]))
        assert not now.mask[0, width:].any()
        np.testing.assert_array_equal(stored.read("mask")[row], now.mask[0, :width])
        for name, value in (("tokens", now.tokens[0, :width]), ("pooled", now.pooled[0])):
            np.testing.assert_allclose(stored.read(name)[row], value, atol=4e-3, rtol=2e-3)


def test_each_part_is_computed_once(tmp_path: Path, build: Callable[..., Artefact]) -> None:
    counting = Counting(encoder(tmp_path / "counted"))
    stored = build(wrapped=counting)
    assert counting.sentences == PROMPTS.sentences
    assert counting.frames == COUNT == len(np.unique(STEP_FRAME))
    assert counting.pairs == stored.shape("tokens")[0] == len(pairs_of(FEATURES).frame)


def test_the_batch_size_changes_nothing(build: Callable[..., Artefact]) -> None:
    small = build()
    whole = build(FEATURES.model_copy(update={"encoding_batch": 100}), name="whole.h5")
    for name in small.names:
        np.testing.assert_allclose(small.read(name), whole.read(name), atol=4e-3, rtol=2e-3)


def test_the_region_axis_is_as_long_as_needed(build: Callable[..., Artefact]) -> None:
    stored = build()
    words = stored.attributes["text_tokens"]
    assert stored.shape("tokens")[1] == words + 3  # three boxes, of five that there is room for
    assert stored.read("mask")[:, words:].sum(1).max() == 3


def whitening(rows: NDArray[np.float16]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    exact = rows.astype(np.float64)
    return exact.mean(0), np.maximum(exact.std(0), 1e-3)


def test_statistics_equal_numpy(build: Callable[..., Artefact]) -> None:
    stored = build()
    pooled, prompt = stored.read("pooled"), stored.read("pair_prompt")
    close = {"atol": 1e-5, "rtol": 1e-4}
    mean, std = whitening(pooled)
    np.testing.assert_allclose(stored.read("pooled_mean"), mean, **close)
    np.testing.assert_allclose(stored.read("pooled_std"), std, **close)
    for index in range(len(PROMPTS.sentences)):
        own = pooled[prompt == index, 0].astype(np.float64).mean(0)
        np.testing.assert_allclose(stored.read("prompt_mean")[index], own, **close)
    tokens, mask = stored.read("tokens"), stored.read("mask")
    words = stored.attributes["text_tokens"]
    for modality, part in enumerate((slice(0, words), slice(words, None))):
        mean, std = whitening(tokens[:, part][mask[:, part]])
        np.testing.assert_allclose(stored.read("token_mean")[modality], mean, **close)
        np.testing.assert_allclose(stored.read("token_std")[modality], std, **close)


def test_a_prompt_that_never_occurs_has_the_overall_mean() -> None:
    sums = running_stats.group_sums(np.array([[1.0], [3.0], [8.0]]), np.array([0, 0, 2]), 3)
    default = np.array([4.0], np.float32)
    assert running_stats.group_mean(sums, default).tolist() == [[2.0], [4.0], [8.0]]


def test_pooled_storage_leaves_the_tokens_out(build: Callable[..., Artefact]) -> None:
    whole = build()
    pooled = build(FEATURES.model_copy(update={"storage": "pooled"}), name="pooled.h5")
    assert set(whole.names) - set(pooled.names) == {"tokens"}
    assert pooled.attributes["storage"] == "pooled"
    for name in pooled.names:
        np.testing.assert_array_equal(pooled.read(name), whole.read(name))


def test_the_same_bytes_again(build: Callable[..., Artefact]) -> None:
    assert build(name="one.h5").path.read_bytes() == build(name="two.h5").path.read_bytes()


def test_embeddings_that_are_not_finite_are_named(
    tmp_path: Path, build: Callable[..., Artefact]
) -> None:
    class Broken(Counting):
        def encode_frames(self, regions: Regions) -> Tensor:
            states = super().encode_frames(regions)
            return states * (torch.nan if self.frames > 3 else 1)

    with pytest.raises(PipelineError, match="NaN or infinite embeddings for frames 3–5"):
        build(wrapped=Broken(encoder(tmp_path / "broken")))
    assert not (tmp_path / "cache.h5").exists()


@pytest.mark.parametrize("storage", ["tokens", "pooled"])
def test_shards_together_are_the_whole(
    tmp_path: Path, build: Callable[..., Artefact], storage: str
) -> None:
    config = FEATURES.model_copy(update={"storage": storage, "encoding_batch": 2})
    whole = build(config).path.read_bytes()
    regions = Artefact(tmp_path / "regions.h5", "regions")
    step_encoder = StepEncoder(None, encoder(tmp_path / "encoder"), PROMPTS.sentences)
    shards = [tmp_path / f"{index}.h5" for index in (1, 2, 3)]
    for index, path in enumerate(shards, 1):
        with PartsWriter(path, "cache", {}, shard=Shard(index, 3)) as writer:
            feature_cache.build(config, step_encoder, regions, pairs_of(config), PROMPTS, writer)
    with PartsWriter(tmp_path / "merged.h5", "cache", {}) as writer:
        feature_cache.merge(config, pairs_of(config), PROMPTS, shards, writer)
    assert (tmp_path / "merged.h5").read_bytes() == whole
