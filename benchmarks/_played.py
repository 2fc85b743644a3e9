"""A few frames of Breakout, played at random here, with prompts and an encoder: what detection and
encoding are timed on where nobody waits for recordings to be played again.
"""

from pathlib import Path

import numpy as np

from benchmarks._stages import GAME, ROOT, configuration
from pipeline import environments
from pipeline.config.schema import FeaturesConfig
from pipeline.features import encoders, prompts
from pipeline.io.artefact import ArtefactWriter


def write(folder: Path, features: FeaturesConfig, steps: int) -> None:
    """Write what `_rungs.read` and `_floor.compare` read: every step a frame of its own."""
    environment = configuration().environments[GAME]
    game, generator = environments.make(environment), np.random.default_rng(0)
    names, none = game.actions, np.empty(0, np.int64)
    text = prompts.make(ROOT / "resources", environment, features.prompt_set, names, none)
    (folder / "prompts.json").write_text(text, encoding="utf-8")
    sentences = prompts.Prompts.read(folder / "prompts.json").sentences
    encoders.create(features.encoder, features.detector.feature_size, sentences, folder / "encoder")
    game.reset(0, 0)
    with ArtefactWriter(folder / "frames.h5", "frames", {}) as writer:
        writer.create("frames", game.frame().shape, np.uint8)
        for step in range(steps):
            writer.append("frames", game.frame()[None])
            if game.step(int(generator.integers(names.size)))[1]:
                game.reset(step, 0)
    prompt = generator.integers(len(sentences), size=steps)
    np.savez(folder / "steps.npz", frame=np.arange(steps), prompt=prompt)
