"""Pretraining: it learns, by seed; without steps it keeps the initial weights."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from encoding import DETECTOR, ENCODER, PROMPTS, encoder, write_frames, write_regions
from safetensors.torch import load_file

from pipeline.errors import PipelineError
from pipeline.features import encoders
from pipeline.features.encoders import _pretraining, lxmert
from pipeline.features.encoders._pretraining import OBJECTIVES
from pipeline.io.artefact import Artefact, ArtefactWriter

COUNT = 24
PAIRS = np.arange(COUNT), np.arange(COUNT) % 3


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    folder = tmp_path_factory.mktemp("pretraining")
    return write_regions(
        folder / "regions.h5", write_frames(folder / "frames.h5", COUNT, np.arange(COUNT))
    )


def pretrain(folder: Path, regions: Artefact, steps: int, seed: int = 0) -> pd.DataFrame:
    update = {"pretraining_steps": steps, "seed": seed, "pretraining_learning_rate": 3e-3}
    config = ENCODER.model_copy(update=update)
    encoder(folder, config)
    return encoders.pretrain(config, folder, regions, PROMPTS.sentences, PAIRS)


def test_it_learns_on_a_tiny_data_set(
    tmp_path: Path, regions: Artefact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pretraining, "CURVE_EVERY", 1)
    curve = pretrain(tmp_path, regions, 100)
    assert curve["step"].tolist() == list(range(1, 101))
    first, last = curve.iloc[:15].mean(), curve.iloc[-15:].mean()
    learned = [name for name in OBJECTIVES if name != "match"]  # few data to tell prompts by
    assert (last[learned] < 0.7 * first[learned]).all()
    assert last["match"] < 1.1 * np.log(2)


def test_the_curve_has_a_row_every_so_many_steps_and_the_last(
    tmp_path: Path, regions: Artefact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pretraining, "CURVE_EVERY", 3)
    curve = pretrain(tmp_path, regions, 4)
    assert curve["step"].tolist() == [3, 4]
    assert set(curve) == {"step", *OBJECTIVES}


def test_same_seed_same_weights(tmp_path: Path, regions: Artefact) -> None:
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        torch.rand(3)  # whatever drew random numbers before
        pretrain(tmp_path / name, regions, 2, seed)
    one, two, other = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "other")
    )
    assert one == two
    assert one != other


def test_all_weights_are_trained(tmp_path: Path, regions: Artefact) -> None:
    encoder(tmp_path / "initial")
    pretrain(tmp_path / "trained", regions, 3)
    before, after = (
        load_file(tmp_path / name / "model.safetensors") for name in ("initial", "trained")
    )
    assert before.keys() == after.keys()
    assert not [name for name in before if torch.equal(before[name], after[name])]


def test_without_steps_the_initial_weights_stay(tmp_path: Path, regions: Artefact) -> None:
    assert pretrain(tmp_path / "none", regions, 0).empty
    encoder(tmp_path / "initial")
    none, initial = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("none", "initial")
    )
    assert none == initial
    assert ENCODER.model_copy(update={"pretraining_steps": 0}).weights == "lxmert random"


@pytest.mark.parametrize("steps", [1, 9])
def test_few_steps_work(tmp_path: Path, regions: Artefact, steps: int) -> None:
    assert pretrain(tmp_path, regions, steps)["step"].tolist() == [steps]


def test_one_sentence_and_one_pair_work(tmp_path: Path, regions: Artefact) -> None:
    lxmert.create(ENCODER, DETECTOR.feature_size, ["wait"], tmp_path)
    pair = np.array([0]), np.array([0])
    curve = encoders.pretrain(ENCODER, tmp_path, regions, ["wait"], pair)
    assert np.isfinite(curve).to_numpy().all()


def test_regions_that_are_not_finite_are_named(tmp_path: Path) -> None:
    size = (COUNT, DETECTOR.regions)
    with ArtefactWriter(tmp_path / "regions.h5", "regions", {}) as writer:
        writer.write("features", np.full((*size, DETECTOR.feature_size), np.nan, np.float16))
        writer.write("boxes", np.zeros((*size, 4), np.float32))
        writer.write("mask", np.ones(size, np.bool_))
    with pytest.raises(PipelineError, match=r"regions\.h5: .* not finite at step 1"):
        pretrain(tmp_path / "encoder", Artefact(tmp_path / "regions.h5", "regions"), 2)
