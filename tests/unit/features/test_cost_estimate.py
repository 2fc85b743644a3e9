"""The plan of stage one: its counts and bytes against what is then really there."""

from collections import namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from encoding import (
    DETECTOR,
    FEATURES,
    PROMPTS,
    SPACE,
    encoder,
    trajectories,
    write_frames,
    write_regions,
)

from pipeline.errors import PipelineError
from pipeline.features import cost_estimate, feature_cache
from pipeline.features.step_encoder import StepEncoder
from pipeline.io import disk_space
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter
from pipeline.vision import detectors

COUNT = 600
STEPS = (900, 300)
CONFIG = FEATURES.model_copy(update={"encoding_batch": 64})


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, feature_cache.Pairs, cost_estimate.Estimate]:
    folder = tmp_path_factory.mktemp("plan")
    step_frame = np.random.default_rng(0).permutation(np.arange(sum(STEPS)) % COUNT)
    frames = write_frames(folder / "frames.h5", COUNT, step_frame)
    pairs = feature_cache.distinct_pairs(CONFIG, trajectories(STEPS), step_frame, PROMPTS, SPACE)
    detector = detectors.make(DETECTOR)
    found = cost_estimate.estimate(CONFIG, detector, frames, pairs, PROMPTS)
    return folder, pairs, found


def test_counts_are_those_of_a_loop(
    world: tuple[Path, feature_cache.Pairs, cost_estimate.Estimate],
) -> None:
    found = world[2]
    data = trajectories(STEPS)
    step_frame = np.random.default_rng(0).permutation(np.arange(sum(STEPS)) % COUNT)
    said = PROMPTS.of(np.append(data.actions, SPACE.noop))
    seen = set()
    for step, frame in enumerate(step_frame):
        first = step in (0, STEPS[0])
        seen.add((int(frame), int(said[-1 if first else step - 1])))
    assert (found.steps, found.frames, found.pairs) == (sum(STEPS), COUNT, len(seen))


def test_bytes_are_those_of_the_files(
    world: tuple[Path, feature_cache.Pairs, cost_estimate.Estimate],
) -> None:
    """From a fifth of the frames; the layout of a file, of no matter in large ones, aside."""
    folder, pairs, found = world
    layout = 50_000
    regions = write_regions(folder / "regions.h5", Artefact(folder / "frames.h5", "frames"))
    assert found.probed_frames == 2 * CONFIG.encoding_batch
    size = regions.path.stat().st_size
    assert abs(found.regions_bytes - size) < 0.1 * size + layout
    step_encoder = StepEncoder(None, encoder(folder / "encoder"), PROMPTS.sentences)
    for storage, expected in (("tokens", found.tokens_bytes), ("pooled", found.pooled_bytes)):
        config = CONFIG.model_copy(update={"storage": storage})
        with PartsWriter(folder / f"{storage}.h5", "cache", {}) as writer:
            feature_cache.build(config, step_encoder, regions, pairs, PROMPTS, writer)
        size = (folder / f"{storage}.h5").stat().st_size
        assert size > 3 * layout or storage == "pooled"
        assert abs(expected - size) < 0.1 * size + layout
    assert found.tokens_bytes > found.pooled_bytes
    assert found.detect_hours > 0
    assert found.encode_hours > 0


def rows(**changed: object) -> pd.DataFrame:
    made = cost_estimate.Estimate(10, 8, 9, 8, 1.0, 2.0, 3e9, 5e9, 1e9)
    base = {"dataset": "a", "features": "f", "regions": "f", "storage": "tokens"}
    tables = [cost_estimate.as_row(made, **{**base, **change}) for change in ({}, changed)]  # type: ignore[dict-item]
    return pd.concat(tables, ignore_index=True)


def test_shared_regions_count_once() -> None:
    assert cost_estimate.totals(rows(features="g", storage="pooled")) == (5.0, 9e9, 14e9)
    assert cost_estimate.totals(rows(dataset="b")) == (6.0, 16e9, 21e9)
    text = cost_estimate.as_text(rows(features="g"))
    assert len(text.splitlines()) == 3
    assert "tokens GB" in text


def test_a_plan_that_does_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: usage(0, 0, int(20.9e9)))
    with pytest.raises(PipelineError, match=r"needs about 21 GB, 20.9 GB are free"):
        cost_estimate.check_disk(rows(dataset="b"), tmp_path / "not yet there")
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: usage(0, 0, int(21.1e9)))
    cost_estimate.check_disk(rows(dataset="b"), tmp_path / "not yet there")
