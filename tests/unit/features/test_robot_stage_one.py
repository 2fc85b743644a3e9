"""Stage one on recorded play of a robot: what is cached is what acting observes."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from encoding import ENCODER, FEATURES
from robots import RESOURCES, dataset, needs_opengl, recording, robot, small

from pipeline.data import frames, trajectories
from pipeline.data.trajectories import Trajectories
from pipeline.environments.mujoco import MujocoEnvironment
from pipeline.errors import PipelineError
from pipeline.features import encoders, feature_cache, prompts
from pipeline.features.prompts import Prompts
from pipeline.features.step_encoder import REMEMBERED, StepEncoder
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter
from pipeline.observations import LiveStep
from pipeline.observations.embeddings import EmbeddingObserver, open_store
from pipeline.vision import detectors, regions

pytestmark = needs_opengl
STEPS = 12
ENVIRONMENT = small()
CONFIG = FEATURES.model_copy(
    update={
        "detector": FEATURES.detector.model_copy(update={"regions": 12}),
        "encoder": ENCODER.model_copy(update={"text_tokens": 20}),
    }
)


@dataclass
class StageOne:
    folder: Path
    data: Trajectories
    game: MujocoEnvironment
    prompts: Prompts

    def encoder(self, detector: bool = True) -> StepEncoder:
        seen = detectors.make(CONFIG.detector) if detector else None
        encoder = encoders.load(CONFIG.encoder, self.folder / "encoder")
        return StepEncoder(seen, encoder, self.prompts.sentences)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StageOne:
    folder = tmp_path_factory.mktemp("stage_one")
    np.savez(folder / "hopper.npz", **recording(2, STEPS))
    data = trajectories.collect(dataset(), ENVIRONMENT, folder)
    frames.render(data, ENVIRONMENT, folder / "f.h5")
    game = robot(ENVIRONMENT)
    text = prompts.make(RESOURCES, ENVIRONMENT, "original", game.actions, data.actions)
    (folder / "p.json").write_text(text)
    sentences = Prompts.read(folder / "p.json")
    seen = Artefact(folder / "f.h5", "frames")
    with PartsWriter(folder / "r.h5", "regions", {}) as writer:
        regions.detect(detectors.make(CONFIG.detector), seen, writer)
    found = detectors.open_regions(folder / "r.h5", seen)
    (folder / "encoder").mkdir()
    size = CONFIG.detector.feature_size
    encoders.create(CONFIG.encoder, size, sentences.sentences, folder / "encoder")
    stage = StageOne(folder, data, game, sentences)
    pairs = feature_cache.distinct_pairs(
        CONFIG, data, seen.read("step_frame"), sentences, game.actions
    )
    with PartsWriter(folder / "c.h5", "cache", {"weights": "random"}) as writer:
        feature_cache.build(CONFIG, stage.encoder(detector=False), found, pairs, sentences, writer)
    return stage


def test_frames_are_those_of_the_positions(made: StageOne) -> None:
    stored = Artefact(made.folder / "f.h5", "frames")
    step_frame, distinct = stored.read("step_frame"), stored.read("frames")
    assert made.data.qpos is not None
    np.testing.assert_array_equal(stored.read("step_state"), made.data.qpos)
    assert stored.attributes["versions"]["environment"] == "Hopper-v5"
    for step, qpos in enumerate(made.data.qpos):
        np.testing.assert_array_equal(distinct[step_frame[step]], made.game.show(qpos))


def test_acting_observes_what_is_cached(made: StageOne) -> None:
    store = open_store(made.folder / "c.h5", memory_mb=16)
    assert "action_embeddings" not in store.attributes
    length = store.shape["tokens"][0]
    observer = EmbeddingObserver(made.encoder(), made.prompts, "tokens")
    assert made.data.seed is not None
    made.game.reset(int(made.data.seed[1]), 0)
    previous = made.game.actions.start()
    for step in range(STEPS, 2 * STEPS):
        nothing = np.zeros(1, np.float32), np.zeros(1)
        situation = LiveStep([made.game], previous[None], *nothing, np.array([0]), 0, np.zeros)
        now = observer.observe(situation)
        stored = store.gather(np.array([[step]]))
        assert torch.equal(stored["mask"], now["mask"][:, :, :length])
        cached, live = stored["tokens"], now["tokens"][:, :, :length]
        torch.testing.assert_close(cached, live, atol=4e-3, rtol=2e-3)
        previous = made.data.actions[step]
        assert observer.sentence(previous) in made.prompts.sentences
        made.game.step(previous)


def test_a_sentence_met_while_acting_is_encoded_as_if_it_had_been_cached(made: StageOne) -> None:
    said = [text for text in made.prompts.sentences if "pulls hard" in text][:2]
    assert len(said) == 2
    whole = made.encoder()
    fewer = StepEncoder(
        detectors.make(CONFIG.detector),
        encoders.load(CONFIG.encoder, made.folder / "encoder"),
        [text for text in made.prompts.sentences if text not in said[1:]],
    )
    seen = whole.detect(np.stack([made.game.frame()] * 2))
    for _ in range(2):  # the second time from what is remembered
        one, other = (each.encode_sentences(seen, said) for each in (whole, fewer))
        assert torch.equal(one.mask, other.mask)
        torch.testing.assert_close(one.tokens, other.tokens, atol=4e-3, rtol=2e-3)


def test_so_many_new_sentences_are_remembered_and_no_more(
    made: StageOne, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert REMEMBERED >= 1000
    monkeypatch.setattr("pipeline.features.step_encoder.REMEMBERED", 2)
    encoder = made.encoder()
    seen = encoder.detect(made.game.frame()[None])
    new = [f"Thigh {a}, leg {a}, foot rests." for a in ("pushes", "pulls hard", "pushes hard")]
    new = [text for text in new if text not in made.prompts.sentences]
    assert len(new) >= 3
    for sentence in new:
        encoder.encode_sentences(seen, [sentence])
    assert list(encoder._met) == new[-2:]


def test_actions_of_other_trajectories_are_refused(made: StageOne) -> None:
    other = replace(made.data, actions=-made.data.actions)
    seen = Artefact(made.folder / "f.h5", "frames").read("step_frame")
    with pytest.raises(PipelineError, match="is not among the prompts; run write_prompts"):
        feature_cache.distinct_pairs(CONFIG, other, seen, made.prompts, made.game.actions)


def test_frames_of_a_source_s_own(made: StageOne, tmp_path: Path) -> None:
    own = [made.game.show(qpos) for qpos in made.data.qpos[::-1]]  # type: ignore[index]
    frames.render(made.data, ENVIRONMENT, tmp_path / "f.h5", iter(own))
    stored = Artefact(tmp_path / "f.h5", "frames")
    for step, frame in zip(stored.read("step_frame"), own, strict=True):
        np.testing.assert_array_equal(stored.read("frames")[step], frame)
    assert "step_state" not in stored.names
    with pytest.raises(PipelineError, match=r"23 frames for 24 steps"):
        frames.render(made.data, ENVIRONMENT, tmp_path / "g.h5", iter(own[:-1]))
    bare = replace(made.data, qpos=None)
    with pytest.raises(PipelineError, match="neither seeds to replay nor positions"):
        frames.render(bare, ENVIRONMENT, tmp_path / "h.h5")
