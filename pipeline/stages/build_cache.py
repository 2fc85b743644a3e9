"""Encode every distinct (frame, prompt) pair with the frozen encoder into the feature cache."""

from argparse import Namespace

from pipeline import cache, devices, encoders
from pipeline.config import EnvironmentConfig, FeaturesConfig
from pipeline.detectors import open_regions
from pipeline.environments import make
from pipeline.parts import PartsWriter
from pipeline.prompts import Prompts
from pipeline.stages import StageParser, execute
from pipeline.step_encoder import StepEncoder
from pipeline.storage import Artefact
from pipeline.trajectories import load

parser = StageParser(__doc__)
parser.sections(features=FeaturesConfig, environment=EnvironmentConfig)
parser.add_argument("--device", type=devices.claim, default="cpu", help=devices.HELP)
parser.shards()
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
    model = encoders.load(config.encoder, arguments.encoder, arguments.device)
    encoder = StepEncoder(None, model, prompts.sentences, config.precision)
    attributes = {"features": config.model_dump(), "weights": config.weights}
    identity = parser.identity(arguments, main)
    with PartsWriter(arguments.output, "cache", attributes, identity, arguments.shard) as writer:
        if arguments.shards:
            cache.merge(config, pairs, prompts, arguments.shards, writer)
        else:
            cache.build(config, encoder, regions, pairs, prompts, writer)


if __name__ == "__main__":
    execute(main, parser)
