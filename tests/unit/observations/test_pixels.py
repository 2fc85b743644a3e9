"""Pixels: exact area means, stacks against a loop, and live stacks equal to stored ones."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import environments
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import frames
from pipeline.data.sources import scripted
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact
from pipeline.observations import LiveStep, open_store, pixels

CATCH = EnvironmentConfig(
    family="catch", game="Catch", max_noops=8, random_score=-2, reference_score=6
)


@pytest.fixture(scope="module")
def data() -> Trajectories:
    config = DatasetConfig(environment="catch", source="scripted", episodes=6, max_episode_steps=20)
    return scripted.collect(config, CATCH, Path())


@pytest.fixture(scope="module")
def path(data: Trajectories, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pixels")
    frames.render(data, CATCH, folder / "frames.h5")
    pixels.shrink_artefact(folder / "frames.h5", folder / "pixels.h5")
    return folder / "pixels.h5"


def area_mean(image: np.ndarray, row: int, column: int) -> float:
    """Mean of one new pixel's area by brute force: every old pixel split into 84 by 84 parts."""
    height, width = image.shape
    rows = np.arange(row * height, (row + 1) * height) // pixels.SIZE
    columns = np.arange(column * width, (column + 1) * width) // pixels.SIZE
    return float(image[np.ix_(rows, columns)].astype(np.float64).mean())


@pytest.mark.parametrize("shape", [(210, 160), (40, 32), (84, 84), (251, 83)])
def test_shrink_is_the_area_mean_of_the_grey_frame(shape: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    grey = (rgb.astype(np.int64) @ np.array([299, 587, 114]) + 500) // 1000
    small = pixels.shrink(rgb)
    assert small.shape == (2, 84, 84)
    assert small.dtype == np.uint8
    for row, column in [(0, 0), (3, 7), (41, 42), (83, 83), (83, 0)]:
        expected = area_mean(grey[1], row, column)
        assert small[1, row, column] == np.floor(expected + 0.5 + 1e-9)


def test_shrink_does_not_depend_on_the_batch() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (5, 210, 160, 3), dtype=np.uint8)
    together = pixels.shrink(rgb)
    for frame, small in zip(rgb, together, strict=True):
        np.testing.assert_array_equal(pixels.shrink(frame[None])[0], small)


def test_gather_equals_a_loop(path: Path, data: Trajectories) -> None:
    store = pixels.open_store(path, data, memory_mb=64)
    artefact = Artefact(path, "pixels")
    small, step_frame = artefact.read("frames"), artefact.read("step_frame")
    steps = np.array([[-1, -1, 0, 1, 2], [18, 19, 20, 21, 25]])
    stacks = store.gather(steps)["frames"].numpy()
    assert stacks.shape == (2, 5, *store.shape["frames"])
    for row, column in np.ndindex(*steps.shape):
        step = steps[row, column]
        for place in range(4):
            expected = np.zeros((84, 84), np.uint8)
            if step >= 0:
                start = data.starts[data.episode[step]]
                expected = small[step_frame[max(step - (3 - place), start)]]
            np.testing.assert_array_equal(stacks[row, column, place], expected)


def test_live_equals_stored(path: Path, data: Trajectories) -> None:
    """Two episodes in lock-step, then one alone, as in evaluation."""
    store, observer = pixels.open_store(path, data), pixels.PixelObserver()
    games = [environments.make(CATCH) for _ in range(2)]
    for i, game in enumerate(games):
        game.reset(int(data.seed[i]), int(data.noops[i]))
    for t in range(20):
        episodes = np.array([0, 1] if t < 9 else [1])
        steps = data.starts[episodes] + t
        playing = [games[i] for i in episodes]
        nothing = np.zeros(len(episodes), np.float32)
        unread = np.zeros(len(episodes), np.int64), nothing, nothing
        live = observer.observe(LiveStep(playing, *unread, episodes, t, np.zeros))
        stored = store.gather(steps[:, None])
        assert live["frames"].dtype == stored["frames"].dtype
        np.testing.assert_array_equal(live["frames"].numpy(), stored["frames"].numpy())
        for i, step in zip(episodes, steps, strict=True):
            games[i].step(int(data.actions[step]))


def test_a_new_episode_sees_nothing_of_one_before() -> None:
    """Episodes of a later play have the same ids."""
    observer, game = pixels.PixelObserver(), environments.make(CATCH)
    zero, first = np.zeros(1, np.float32), []
    for seed in (0, 1, 0):
        game.reset(seed, 0)
        for t in range(3):
            row = np.zeros(1, np.int64)
            seen = observer.observe(LiveStep([game], row, zero, zero, row, t, np.zeros))["frames"]
            first += [seen.numpy()] if t == 0 else []
            game.step(1)
    np.testing.assert_array_equal(first[0], first[2])
    assert (first[1] == first[1][:, :, -1:]).all()  # the first frame, repeated


def test_attributes_keep_the_source(path: Path, data: Trajectories) -> None:
    assert Artefact(path, "pixels").attributes["source"] == data.source


def test_statistics_are_those_of_the_distinct_frames(path: Path, data: Trajectories) -> None:
    small = Artefact(path, "pixels").read("frames").astype(np.float64)
    attributes = pixels.open_store(path, data).attributes
    np.testing.assert_allclose(attributes["pixel_mean"], small.mean(axis=0), atol=1e-3)
    deviation = np.sqrt(((small - small.mean(axis=0)) ** 2).mean())
    assert attributes["pixel_std"] == pytest.approx(max(deviation, 1.0), rel=1e-4)


def test_pixels_of_another_data_set_are_refused(path: Path, data: Trajectories) -> None:
    config = DatasetConfig(environment="catch", source="scripted", episodes=2, max_episode_steps=20)
    other = scripted.collect(config, CATCH, Path())
    with pytest.raises(
        PipelineError, match=r"pixels\.h5: \d+ steps, but .* has \d+; make it again"
    ):
        open_store("pixels", path, other, memory_mb=64)
