"""Embeddings as observations: the store reads the cache by step, the observer encodes alike."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

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
from torch.utils.data import DataLoader, Dataset

from pipeline.features import feature_cache
from pipeline.features.step_encoder import StepEncoder
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter
from pipeline.observations import LiveStep, Observation
from pipeline.observations.embeddings import EmbeddingObserver, EmbeddingStore, open_store

COUNT = 12
STEPS = np.array([[-1, -1, 0, 1], [3, 4, 5, 6], [11, 2, 2, -1]])
STORAGES = ["tokens", "pooled"]


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Path]:
    def build(storage: str) -> Path:
        config = FEATURES.model_copy(update={"storage": storage})
        stored = write_frames(tmp_path / "frames.h5", COUNT, np.arange(COUNT))
        regions = write_regions(tmp_path / "regions.h5", stored)
        pairs = feature_cache.distinct_pairs(
            config, trajectories(), np.arange(COUNT), PROMPTS, SPACE
        )
        step_encoder = StepEncoder(None, encoder(tmp_path / "encoder"), PROMPTS.sentences)
        path = tmp_path / f"{storage}.h5"
        with PartsWriter(path, "cache", {"weights": "lxmert random"}) as writer:
            feature_cache.build(config, step_encoder, regions, pairs, PROMPTS, writer)
        return path

    return build


@pytest.mark.parametrize("storage", STORAGES)
def test_gather_equals_direct_indexing(build: Callable[[str], Path], storage: str) -> None:
    path = build(storage)
    store, stored = open_store(path, memory_mb=16), Artefact(path, "cache")
    found = store.gather(STEPS)
    mean, std = stored.read("pooled_mean"), stored.read("pooled_std")
    assert found["pooled"].dtype == torch.float32
    assert found["tokens"].dtype == torch.float16
    for row, column in np.ndindex(*STEPS.shape):
        observed = {name: tensor[row, column].numpy() for name, tensor in found.items()}
        if STEPS[row, column] < 0:
            assert not any(value.any() for value in observed.values())
            continue
        pair = stored.read("step_pair")[STEPS[row, column]]
        pooled = stored.read("pooled")[pair]
        np.testing.assert_array_equal(observed["tokens"], stored.read(storage)[pair])
        np.testing.assert_allclose(observed["pooled"], (pooled - mean) / std, rtol=1e-5, atol=1e-5)
        expected = stored.read("mask")[pair] if storage == "tokens" else np.ones(2, np.bool_)
        np.testing.assert_array_equal(observed["mask"], expected)
    for name, tensor in found.items():
        assert tensor.shape[2:] == store.shape[name]


def test_pooled_targets_are_white(build: Callable[[str], Path]) -> None:
    store = open_store(build("tokens"), memory_mb=16)
    pairs = store.gather(np.arange(COUNT)[None])["pooled"][0]
    assert pairs[:, 1].mean(0).abs().max() < 1e-3
    assert pairs[:, 1].std(0, correction=0).median() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("storage", STORAGES)
def test_attributes_that_models_are_built_from(build: Callable[[str], Path], storage: str) -> None:
    path = build(storage)
    store, stored = open_store(path, memory_mb=16), Artefact(path, "cache")
    words = stored.attributes["text_tokens"] if storage == "tokens" else 1
    assert store.attributes["text_tokens"] == words
    assert store.attributes["weights"] == "lxmert random"
    mean, std = stored.read("pooled_mean")[0], stored.read("pooled_std")[0]
    means = (stored.read("prompt_mean") - mean) / std
    for action, embedding in enumerate(store.attributes["action_embeddings"]):
        np.testing.assert_allclose(embedding, means[PROMPTS.action_prompt[action]], rtol=1e-6)
    kind = "token" if storage == "tokens" else "pooled"
    for name in ("mean", "std"):
        expected = stored.read(f"{kind}_{name}")
        np.testing.assert_array_equal(store.attributes[f"token_{name}"], expected)


class Windows(Dataset[Observation]):
    """Rows of STEPS, read by whoever asks."""

    def __init__(self, store: EmbeddingStore) -> None:
        self._store = store

    def __len__(self) -> int:
        return len(STEPS)

    def __getitem__(self, row: int) -> Observation:
        return self._store.gather(STEPS[row])


def test_two_forked_workers_give_the_same_bytes(build: Callable[[str], Path]) -> None:
    """The parent has read before, so that an inherited file handle would show."""
    store = open_store(build("tokens"), memory_mb=16)
    here = [store.gather(row) for row in STEPS]
    context = multiprocessing.get_context("fork")
    loader = DataLoader(
        Windows(store), batch_size=None, num_workers=2, multiprocessing_context=context
    )
    for mine, theirs in zip(here, loader, strict=True):
        for name in mine:
            assert mine[name].numpy().tobytes() == theirs[name].numpy().tobytes()


def observe(
    folder: Path, storage: str, previous: NDArray[np.int64]
) -> tuple[EmbeddingObserver, Observation]:
    observer = EmbeddingObserver(live(folder / "encoder"), PROMPTS, storage)
    seen = SimpleNamespace(
        frames=frames(COUNT), previous_actions=previous, episodes=np.arange(COUNT)
    )
    return observer, observer.observe(cast(LiveStep, seen))


@pytest.mark.parametrize("storage", STORAGES)
def test_acting_observes_what_is_stored(
    tmp_path: Path, build: Callable[[str], Path], storage: str
) -> None:
    store = open_store(build(storage), memory_mb=16)
    stored = store.gather(np.arange(COUNT)[:, None])
    _, now = observe(tmp_path, storage, trajectories().previous_actions(SPACE))
    length = store.shape["tokens"][0]
    assert not now["mask"][:, :, length:].any()
    assert torch.equal(stored["mask"], now["mask"][:, :, :length])
    torch.testing.assert_close(stored["tokens"], now["tokens"][:, :, :length], atol=4e-3, rtol=2e-3)


def test_what_is_drawn_beside_the_frame(tmp_path: Path) -> None:
    encoder(tmp_path / "encoder")
    observer, _ = observe(tmp_path, "tokens", np.zeros(COUNT, np.int64))
    counts = [len(observer.boxes(row)) for row in range(COUNT)]
    assert counts == [3 if row % 3 == 0 else 2 for row in range(COUNT)]
    assert [observer.sentence(action) for action in range(4)] == [
        PROMPTS.sentences[index] for index in (0, 1, 2, 1)
    ]
