"""Ways of making the embeddings of some steps, from the authors' to ours, each in its own process.

`naive` does what the published code of MORE-3S does (Zheng0428/MORE_ at 718e373c, in
src/tasks/data_preprocessing/): one image at a time through the detector, every (frame, sentence) of
every step through all of LXMERT, tensors grown by concatenation, and the file of all episodes so
far read, grown and written again after each episode of at most 1,000 steps, in float32. The
detector and the weights are ours, the same for all.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import _timing
from pipeline.config.schema import FeaturesConfig
from pipeline.features import encoders, feature_cache
from pipeline.features.feature_cache import Pairs
from pipeline.features.prompts import Prompts
from pipeline.features.step_encoder import StepEncoder
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter
from pipeline.vision import detectors, regions
from pipeline.vision.detectors import Regions

EPISODE = 1000
THEIR_BATCH = 64
THEIR_TEXT_TOKENS = 20


@dataclass(frozen=True)
class Data:
    """Some steps, their distinct frames, and the prompt of each step."""

    frames: Artefact
    frame: NDArray[np.int64]
    prompt: NDArray[np.int64]
    prompts: Prompts

    def images(self, steps: slice) -> NDArray[np.uint8]:
        """One image per step."""
        return self.frames.gather("frames", self.frame[steps])

    @property
    def pairs(self) -> Pairs:
        """The distinct pairs."""
        sentences = len(self.prompts.sentences)
        distinct, step = np.unique(self.frame * sentences + self.prompt, return_inverse=True)
        return Pairs(*np.divmod(distinct, sentences), step)


class Rungs:
    """The ways, with the models that they share."""

    def __init__(self, config: FeaturesConfig, encoder: Path, data: Data, out: Path) -> None:
        self.config, self.data, self.out = config, data, out
        self.detector = detectors.make(config.detector)
        loaded: Any = encoders.load(config.encoder, encoder)
        self.encoder = loaded  # with the parts that LXMERT alone has
        ids, mask = self.encoder.tokenize(data.prompts.sentences)
        padding = (0, THEIR_TEXT_TOKENS - ids.shape[1])
        self.ids = torch.nn.functional.pad(ids, padding)
        self.text_mask = torch.nn.functional.pad(mask, padding)

    def naive(self, batch: int = 1) -> None:
        """The authors' way; of their LXMERT `batch` steps at a time."""
        for start in range(0, len(self.data.frame), EPISODE):
            steps = slice(start, min(start + EPISODE, len(self.data.frame)))
            found = None
            for image in self.data.images(steps):
                found = _grown(found, self.detector(image[None]))
            assert found is not None
            prompt = torch.from_numpy(self.data.prompt[steps])
            grown = torch.empty(0)
            for first in range(0, len(prompt), batch):
                part = slice(first, first + batch)
                tokens = self.whole(_take(found, part), prompt[part])
                grown = torch.cat([grown, tokens]) if len(grown) else tokens
            path = self.out / "atari.pt"
            if path.exists():
                grown = torch.cat([torch.load(path, weights_only=True), grown])
            torch.save(grown, path)

    def authors(self) -> None:
        """As they call it: LXMERT on 64 steps at a time."""
        self.naive(THEIR_BATCH)

    def batched(self) -> None:
        """Every step, but the detector in batches as well, and nothing grown or read again."""
        parts = []
        for first in range(0, len(self.data.frame), THEIR_BATCH):
            steps = slice(first, first + THEIR_BATCH)
            found = self.detector(self.data.images(steps))
            parts.append(self.whole(found, torch.from_numpy(self.data.prompt[steps])))
        torch.save(torch.cat(parts), self.out / "atari.pt")

    def deduplicated(self) -> None:
        """Each distinct frame and each distinct pair once."""
        found = self.detected()
        pairs = self.data.pairs
        parts = []
        for first in range(0, len(pairs.frame), THEIR_BATCH):
            part = slice(first, first + THEIR_BATCH)
            rows = torch.from_numpy(pairs.frame[part])
            parts.append(self.whole(_take(found, rows), torch.from_numpy(pairs.prompt[part])))
        torch.save([torch.cat(parts), torch.from_numpy(pairs.step)], self.out / "atari.pt")

    def factorised(self) -> None:
        """The language layers once per sentence, the object-relationship layers once per frame."""
        found, pairs = self.detected(), self.data.pairs
        parts, size = [], self.config.encoding_batch
        states = self.encoder.encode_prompts(self.data.prompts.sentences)
        for index in range(pairs.batches(size)):
            part = pairs.batch(index, size)
            rows, frame = np.unique(pairs.frame[part], return_inverse=True)
            some = _take(found, torch.from_numpy(rows))
            prompt = torch.from_numpy(pairs.prompt[part])
            seen = self.encoder.encode_frames(some)[frame]
            parts.append(self.encoder.encode_pairs(states, prompt, seen, some.mask[frame]))
        torch.save([torch.cat(parts), torch.from_numpy(pairs.step)], self.out / "atari.pt")

    def ours(self) -> None:
        """This pipeline: no column that is padding in a whole batch, half precision on disk."""
        with PartsWriter(self.out / "regions.h5", "regions", {}) as writer:
            regions.detect(self.detector, self.data.frames, writer)
        found = Artefact(self.out / "regions.h5", "regions", memory_mb=64)
        sentences, precision = self.data.prompts.sentences, self.config.precision
        encoder = StepEncoder(None, self.encoder, sentences, precision)
        with PartsWriter(self.out / "cache.h5", "cache", {}) as writer:
            feature_cache.build(
                self.config, encoder, found, self.data.pairs, self.data.prompts, writer
            )

    def detected(self) -> Regions:
        """Regions of the distinct frames, in batches."""
        total, size = self.data.frames.shape("frames")[0], regions.BATCH
        parts = [
            self.detector(self.data.frames.read("frames", first, first + size))
            for first in range(0, total, size)
        ]
        return Regions(*(torch.cat([getattr(p, n) for p in parts]) for n in detectors.ARRAYS))

    @torch.no_grad()
    def whole(self, found: Regions, prompt: Tensor) -> Tensor:
        """All of transformers' LxmertModel on every step of a batch."""
        output = self.encoder.model(
            input_ids=self.ids[prompt],
            visual_feats=found.features.float(),
            visual_pos=self.encoder.encode_boxes(found.boxes),
            attention_mask=self.text_mask[prompt],
            visual_attention_mask=found.mask,
        )
        return torch.cat([output.language_output, output.vision_output], dim=1)

    def difference(self, steps: int = 200) -> float:
        """Largest |ours − theirs| / max(1, |theirs|) over the real tokens of some steps."""
        stored = Artefact(self.out / "cache.h5", "cache")
        chosen = np.unique(np.linspace(0, len(self.data.frame) - 1, steps).astype(np.int64))
        pair = stored.read("step_pair")[chosen]
        mine, mask = stored.gather("tokens", pair), stored.gather("mask", pair)
        words, worst = stored.attributes["text_tokens"], 0.0
        for place, step in enumerate(chosen.tolist()):
            found = self.detector(self.data.images(slice(step, step + 1)))
            prompt = torch.from_numpy(self.data.prompt[step : step + 1])
            tokens = self.whole(found, prompt)[0].numpy()
            length = mine.shape[1] - words
            theirs = np.concatenate([tokens[:words], tokens[20 : 20 + length]])[mask[place]]
            error = np.abs(mine[place][mask[place]] - theirs) / np.maximum(1, np.abs(theirs))
            worst = max(worst, float(error.max()))
        return worst


def _grown(before: Regions | None, more: Regions) -> Regions:
    if before is None:
        return more
    pairs = ((getattr(before, name), getattr(more, name)) for name in detectors.ARRAYS)
    return Regions(*(torch.cat(pair) for pair in pairs))


def _take(found: Regions, rows: Any) -> Regions:
    return Regions(found.features[rows], found.boxes[rows], found.mask[rows])


def read(folder: Path, prompts: Prompts) -> Data:
    """The steps that `stage_one` has chosen, from `folder`."""
    chosen = np.load(folder / "steps.npz", allow_pickle=False)
    frames = Artefact(folder / "frames.h5", "frames", memory_mb=256)
    return Data(frames, chosen["frame"], chosen["prompt"], prompts)


def main() -> None:
    """Run one rung; print what it took as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rung", required=True)
    parser.add_argument("--features", type=FeaturesConfig.from_json, required=True)
    parser.add_argument("--threads", type=int, default=1)
    for name in ("encoder", "prompts", "folder"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    _timing.start(given.threads)
    out = given.folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    data = read(given.folder, Prompts.read(given.prompts))
    rungs = Rungs(given.features, given.encoder, data, out)
    run: Callable[[], None] = getattr(rungs, given.rung)
    rungs.whole(rungs.detector(data.images(slice(0, 1))), torch.zeros(1, dtype=torch.int64))
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    found = {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024)
        / 2**20,
        "bytes": sum(path.stat().st_size for path in out.iterdir()),
    }
    if given.rung == "ours":
        found["difference"] = rungs.difference()
    print(json.dumps(found))


if __name__ == "__main__":
    os.environ.setdefault("TQDM_DISABLE", "1")
    main()
