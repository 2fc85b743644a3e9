"""Recordings, artefacts, checkpoints and frames with anything in them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import robots
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import save
from torch import nn
from trying import attempt, damaged, examples

from pipeline.config.schema import (
    DatasetConfig,
    DetectorConfig,
    EncoderConfig,
    EnvironmentConfig,
    LanguageModelConfig,
    MethodConfig,
)
from pipeline.data.sources import _minari_metadata, _recorded_in, recorded, recorded_states
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.features import encoders
from pipeline.features.encoders import lxmert
from pipeline.io.artefact import Artefact, ArtefactWriter
from pipeline.language import pretraining
from pipeline.methods import Spec, make
from pipeline.observations.pixels import shrink
from pipeline.training import checkpoint
from pipeline.training.resume import Resumption
from pipeline.vision import detectors

RESOURCES = Path(__file__).parents[2] / "resources"
RECORDING = (RESOURCES / "demonstrations" / "decisive" / "qbert.npz").read_bytes()
GAME = EnvironmentConfig(family="atari", game="Qbert", random_score=163.9, reference_score=13455)
DATASET = DatasetConfig(environment="qbert", source="recorded", file="qbert.npz", max_epsilon=0.2)
HOPPER = robots.recording()
ANY_ARRAY = arrays.arrays(
    st.one_of(arrays.scalar_dtypes(), arrays.unicode_string_dtypes()),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@given(data=st.data())
def test_damaged_recordings(folder: Path, data: st.DataObject) -> None:
    (folder / "qbert.npz").write_bytes(damaged(RECORDING, data))
    found = attempt(lambda: recorded.collect(DATASET, GAME, folder))
    if found is not None:  # what was changed is not what is read
        assert np.array_equal(found.score, ORIGINAL.score)
        assert np.array_equal(found.actions, ORIGINAL.actions)


def of_other_arrays(content: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """A recording one of whose arrays is another, or of another shape or type."""
    name = data.draw(st.sampled_from(sorted(content)))
    other = data.draw(
        st.one_of(
            ANY_ARRAY,
            st.just(content[name][::-1]) if content[name].ndim else ANY_ARRAY,
            st.just(content[name][..., None]),
            st.floats().map(lambda number: np.full(content[name].shape, number)),
            st.text(max_size=5).map(np.array),
        )
    )
    return {**content, name: other}


@given(data=st.data())
def test_recordings_of_other_arrays(folder: Path, data: st.DataObject) -> None:
    content: dict[str, Any] = dict(np.load(io.BytesIO(RECORDING), allow_pickle=False))
    np.savez(folder / "qbert.npz", **of_other_arrays(content, data))
    attempt(lambda: recorded.collect(DATASET, GAME, folder))


@given(data=st.data())
def test_robots_recordings_of_other_arrays(folder: Path, data: st.DataObject) -> None:
    np.savez(folder / "hopper.npz", **of_other_arrays(HOPPER, data))
    attempt(lambda: recorded_states.collect(robots.dataset(), robots.config(), folder))


class Bomb:
    """Whoever unpickles it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.path,)


def test_objects_in_a_recording_are_not_unpickled(folder: Path) -> None:
    content: dict[str, Any] = dict(np.load(io.BytesIO(RECORDING), allow_pickle=False))
    made = folder / "made"
    bomb = np.empty(1, object)
    bomb[0] = Bomb(made)
    np.savez(folder / "qbert.npz", **{**content, "seed": bomb}, allow_pickle=True)
    assert attempt(lambda: recorded.collect(DATASET, GAME, folder)) is None
    assert not made.exists()


ARRAYS = {
    "tokens": np.arange(3000, dtype=np.float16).reshape(250, 12),
    "mask": np.ones((250, 3), np.bool_),
    "step_pair": np.arange(40),
}


@pytest.fixture(scope="session")
def artefact(folder: Path) -> bytes:
    with ArtefactWriter(folder / "whole.h5", "cache", {"storage": "tokens"}) as writer:
        for name, array in ARRAYS.items():
            writer.write(name, array)
    return (folder / "whole.h5").read_bytes()


@given(data=st.data())
@examples(80)
def test_damaged_artefacts(folder: Path, artefact: bytes, data: st.DataObject) -> None:
    """What is read from a damaged one is what was written, or it is refused."""
    path = folder / "damaged.h5"
    path.write_bytes(damaged(artefact, data))

    def read() -> dict[str, np.ndarray]:
        found = Artefact(path, "cache")
        try:
            assert found.attributes["storage"] == "tokens"
            return {name: found.read(name) for name in ARRAYS}
        finally:
            found.close()

    found = attempt(read)
    for name, array in (found or {}).items():
        assert np.array_equal(array, ARRAYS[name])


METHOD = MethodConfig.model_validate(
    {
        "method": "more3s",
        "policy": {"context_length": 2, "memory_length": 2, "width": 8, "layers": 1, "heads": 1},
    }
)
SHAPE = {"tokens": (4, 8), "mask": (4,), "pooled": (2, 8)}
SPEC = Spec(("Pong",), (ActionSpace(("A", "B", "C")),), SHAPE, {"text_tokens": 2})


@pytest.fixture(scope="session")
def policy(folder: Path) -> bytes:
    description = checkpoint.describe(METHOD, 0, 1.0, SPEC)
    checkpoint.save(folder / "whole", make(METHOD, SPEC), description)
    return (folder / "whole").read_bytes()


@given(data=st.data())
def test_damaged_checkpoints(folder: Path, policy: bytes, data: st.DataObject) -> None:
    path = folder / "policy"
    path.write_bytes(damaged(policy, data))
    attempt(lambda: checkpoint.load(path, METHOD))


@given(data=st.data())
def test_checkpoints_that_say_something_else(
    folder: Path, policy: bytes, data: st.DataObject
) -> None:
    path = folder / "policy"
    length = int.from_bytes(policy[:8], "little")
    said = json.loads(json.loads(policy[8 : 8 + length])["__metadata__"]["description"])
    said[data.draw(st.sampled_from(sorted(said)))] = data.draw(
        st.one_of(st.none(), st.integers(-3, 0), st.text(max_size=3), st.just({}), st.just([[1]]))
    )
    path.write_bytes(save({"weight": torch.zeros(2)}, {"description": json.dumps(said)}))
    assert attempt(lambda: checkpoint.load(path, METHOD)) is None


@given(data=st.data())
def test_damaged_language_models(folder: Path, policy: bytes, data: st.DataObject) -> None:
    config = LanguageModelConfig(width=8, layers=1, heads=1, context_length=4)
    made = pretraining.LanguageModel(config, 300)
    said = json.dumps({"config": config.model_dump(), "text": "x"})
    whole = save(dict(made.state_dict()), {pretraining.DESCRIPTION: said})
    path = folder / "language_model"
    path.write_bytes(damaged(whole, data))
    learner = make(METHOD, SPEC)
    attempt(lambda: pretraining.begin_with(path, learner.transformer))


@given(data=st.data())
def test_damaged_saves_are_not_gone_on_with(folder: Path, data: st.DataObject) -> None:
    model = nn.Linear(2, 2)
    optimizers = {"model": torch.optim.AdamW(model.parameters())}
    saved = Resumption(folder / "training", "this one")
    saved.save(model, optimizers, {"step": 3})
    path = folder / ".training.resume"
    path.write_bytes(damaged(path.read_bytes(), data))
    assert not saved.waiting or saved.load(model, optimizers) == {"step": 3}


ENCODER = EncoderConfig(
    width=8, heads=1, language_layers=1, relationship_layers=1, cross_layers=1, text_tokens=8
)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
@given(data=st.data())
@examples(8)
def test_damaged_encoders(folder: Path, name: str, data: st.DataObject) -> None:
    place = folder / "encoder"
    if not place.exists():
        lxmert.create(ENCODER, 4, ["go left", "go right"], place)
    whole = (place / name).read_bytes()
    (place / name).write_bytes(damaged(whole, data))
    try:
        attempt(lambda: encoders.load(ENCODER, place).encode_prompts(["go left"]))
    finally:
        (place / name).write_bytes(whole)


@given(frames=ANY_ARRAY | arrays.arrays(np.uint8, arrays.array_shapes(min_dims=4, max_dims=4)))
def test_frames_of_any_kind(frames: np.ndarray) -> None:
    detector = detectors.make(DetectorConfig(regions=3, feature_size=2))
    found = attempt(lambda: detector(frames))
    if found is not None:
        assert found.mask.shape == (len(frames), 3)
        assert torch.isfinite(found.features).all()
        assert shrink(frames).shape == (len(frames), 84, 84)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
BOX = {"type": "Box", "dtype": "uint8", "shape": [2, 2], "low": [[0, 0]] * 2, "high": [[9, 9]] * 2}
SKIP = {"name": "MaxAndSkipObservation", "kwargs": {"skip": 4}}
SPECIFICATION = {
    "id": "ALE/Qbert-v5",
    "entry_point": "ale_py.env:AtariEnv",
    "kwargs": {"game": "qbert", "frameskip": 1, "repeat_action_probability": 0},
    "max_episode_steps": 100,
    "additional_wrappers": [
        {**SKIP, "entry_point": "gymnasium.wrappers.stateful_observation:MaxAndSkipObservation"},
    ],
}
DESCRIPTION = {
    "data_format": "hdf5",
    "dataset_id": "a-v0",
    "total_episodes": 1,
    "total_steps": 2,
    "observation_space": BOX,
    "action_space": {"type": "Discrete", "n": 4, "start": 0},
    "env_spec": SPECIFICATION,
}


def with_another(content: Any, data: st.DataObject) -> Any:
    """The content with something else in one place, at any depth."""
    if data.draw(st.integers(0, 3)) == 0 or not isinstance(content, dict | list) or not content:
        return data.draw(JSON)
    if isinstance(content, list):
        return [with_another(content[0], data), *content[1:]]
    key = data.draw(st.sampled_from(sorted(content)))
    return {**content, key: with_another(content[key], data)}


@given(data=st.data())
@examples(100)
def test_descriptions_of_minari_data_sets(folder: Path, data: st.DataObject) -> None:
    """What they say of spaces and environments; that none is made is held by the data's tests."""
    changed = with_another(DESCRIPTION, data)
    if isinstance(changed, dict) and data.draw(st.booleans()):
        changed = {k: json.dumps(v) if k.endswith("space") else v for k, v in changed.items()}
    (folder / "metadata.json").write_text(json.dumps(changed), encoding="utf-8")

    def understand() -> None:
        found = _minari_metadata.read(folder)
        try:
            for family in ("atari", "mujoco", "catch"):
                _recorded_in.read(found.specification or {"id": "x"}, family)
        except _recorded_in.Refused as why:
            raise PipelineError(f"{folder}: {why}") from None

    attempt(understand)


ORIGINAL = recorded.collect(
    DATASET.model_copy(update={"file": "demonstrations/decisive/qbert.npz"}), GAME, RESOURCES
)
