"""Encode every distinct (frame, prompt) pair with the frozen encoder into the feature cache."""

from argparse import Namespace

from pipeline import cache, encoders
from pipeline.config import EnvironmentConfig, FeaturesConfig
from pipeline.detectors import open_regions
from pipeline.environments import make
from pipeline.prompts import Prompts
from pipeline.stages import StageParser, execute
from pipeline.step_encoder import StepEncoder
from pipeline.storage import Artefact, ArtefactWriter
from pipeline.trajectories import load

parser = StageParser(__doc__)
parser.sections(features=FeaturesConfig, environment=EnvironmentConfig)
parser.inputs("encoder", "regions", "frames", "prompts", "trajectories")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Load, encode, write."""
    config = arguments.features
    space = make(arguments.environment).actions
    prompts = Prompts.read(arguments.prompts)
    frames = Artefact(arguments.frames, "frames")
    regions = open_regions(arguments.regions, frames, memory_mb=64)
    data = load(arguments.trajectories)
    pairs = cache.distinct_pairs(config, data, frames.read("step_frame"), prompts, space)
    encoder = encoders.load(config.encoder, arguments.encoder)
    step_encoder = StepEncoder(None, encoder, prompts.sentences)
    attributes = {"features": config.model_dump(), "weights": config.weights}
    with ArtefactWriter(arguments.output, "cache", attributes) as writer:
        cache.build(config, step_encoder, regions, pairs, prompts, writer)


if __name__ == "__main__":
    execute(main, parser)
