"""Detect up to N regions in every distinct frame of a data set."""

from pathlib import Path

import torch

from pipeline import detectors, regions
from pipeline.config import DetectorConfig
from pipeline.stages import command, execute
from pipeline.storage import Artefact, ArtefactWriter


def main() -> None:
    """Parse, load, detect, write."""
    parser = command(__doc__)
    parser.add_argument("--detector", required=True, help="detector section, JSON")
    parser.add_argument("--frames", type=Path, required=True, help="artefact of render_frames")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = DetectorConfig.from_json(arguments.detector)
    frames = Artefact(arguments.frames, "frames")
    detector = detectors.make(config)
    with ArtefactWriter(arguments.output, "regions", {"detector": config.model_dump()}) as writer:
        regions.detect(detector, frames, writer)


if __name__ == "__main__":
    execute(main)
