"""Encode every distinct (frame, prompt) pair with the frozen encoder into the feature cache."""

from pathlib import Path

import torch

from pipeline import cache, encoders
from pipeline.config import EnvironmentConfig, FeaturesConfig
from pipeline.detectors import open_regions
from pipeline.environments import make
from pipeline.prompts import Prompts
from pipeline.stages import command, execute
from pipeline.step_encoder import StepEncoder
from pipeline.storage import Artefact, ArtefactWriter
from pipeline.trajectories import load


def main() -> None:
    """Parse, load, encode, write."""
    parser = command(__doc__)
    parser.add_argument("--features", required=True, help="features section, JSON")
    parser.add_argument("--environment", required=True, help="environment section, JSON")
    for name in ("trajectories", "frames", "prompts", "regions", "encoder", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = FeaturesConfig.from_json(arguments.features)
    noop = make(EnvironmentConfig.from_json(arguments.environment)).noop
    prompts = Prompts.read(arguments.prompts)
    frames = Artefact(arguments.frames, "frames")
    regions = open_regions(arguments.regions, frames, memory_mb=64)
    data = load(arguments.trajectories)
    pairs = cache.distinct_pairs(config, data, frames.read("step_frame"), prompts, noop)
    encoder = encoders.load(config.encoder, arguments.encoder)
    step_encoder = StepEncoder(None, encoder, prompts.sentences)
    attributes = {"features": config.model_dump(), "weights": config.weights}
    with ArtefactWriter(arguments.output, "cache", attributes) as writer:
        cache.build(config, step_encoder, regions, pairs, prompts, writer)


if __name__ == "__main__":
    execute(main)
