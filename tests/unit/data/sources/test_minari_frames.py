"""Minari data sets whose images are none, or whose numbers lie elsewhere."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from minari_sets import LENGTHS, collect, encoded, game, specification, write

from pipeline.config.schema import DatasetConfig
from pipeline.data.sources import minari as source
from pipeline.errors import PipelineError

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 160 210\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    "content",
    [
        np.frombuffer(EPS, np.uint8),
        encoded((160, 210), "PNG"),
        encoded((160, 210), "TIFF"),
        encoded((16_000, 21_000)),
        encoded((160, 210), mode="CMYK"),
        encoded((160, 210), mode="L"),
        encoded((160, 210))[:300],
        np.zeros(10, np.uint8),
    ],
    ids=["eps", "png", "tiff", "large", "cmyk", "grey", "cut", "zeros"],
)
def test_images_are_jpeg_of_the_size_that_was_promised(
    tmp_path: Path, content: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused is refused before it is decoded: by its kind and its header."""
    folder = write(tmp_path / "set", jpeg_encoding=True)
    with h5py.File(folder / "data/main_data.hdf5", "a") as file:
        for i, length in enumerate(LENGTHS):
            del file[f"episode_{i}/observations"]
            file[f"episode_{i}/observations"] = np.repeat(content[None], length + 1, axis=0)
    config = DatasetConfig(environment="any", source="minari", file=str(folder))
    environment = game(screen="last_jpeg")
    source.collect(config, environment, Path())
    shown = source.frames(config, environment, Path())
    assert shown is not None
    with pytest.raises(PipelineError, match="an image is no JPEG of RGB") as caught:
        next(shown)
    assert "\n" not in str(caught.value)


def test_screens_and_jpeg(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain", specification())
    with pytest.raises(PipelineError, match=r"screen last, .* last_jpeg; set the dataset's screen"):
        collect(plain, game(screen="last_jpeg"))
    lossy = write(tmp_path / "lossy", specification(), jpeg_encoding=True)
    with h5py.File(lossy / "data/main_data.hdf5", "a") as file:
        for i, length in enumerate(LENGTHS):
            del file[f"episode_{i}/observations"]
            rows = np.repeat(encoded((160, 210))[None], length + 1, axis=0)
            file[f"episode_{i}/observations"] = rows
    assert len(collect(lossy, game(screen="last_jpeg")).actions)
    for screen in ("last", "maximum"):
        with pytest.raises(PipelineError, match="set the dataset's screen to last_jpeg"):
            collect(lossy, game(screen=screen))


@pytest.mark.parametrize("name", ["observations", "rewards", "actions", "truncations"])
def test_missing_arrays_are_named(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "set")
    with h5py.File(folder / "data/main_data.hdf5", "a") as file:
        del file[f"episode_1/{name}"]
    with pytest.raises(PipelineError, match=f"episode 1 has no {name}; .*, truncations, "):
        collect(folder, game())


@pytest.mark.parametrize("name", ["observations", "rewards", "actions", "terminations"])
def test_numbers_in_other_files(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "set")
    with h5py.File(folder / "data/main_data.hdf5", "a") as file:
        del file[f"episode_1/{name}"]
        file[f"episode_1/{name}"] = h5py.ExternalLink("other.hdf5", "/x")
    with pytest.raises(PipelineError, match=f"{name} is a link, which is not followed"):
        collect(folder, game())
