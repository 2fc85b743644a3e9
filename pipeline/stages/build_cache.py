"""Encode every distinct (frame, prompt) pair with the frozen encoder into the feature cache."""

from argparse import Namespace

from pipeline.config.schema import EnvironmentConfig, FeaturesConfig
from pipeline.data.trajectories import load
from pipeline.environments import make
from pipeline.features import encoders, feature_cache
from pipeline.features.prompts import Prompts
from pipeline.features.step_encoder import StepEncoder
from pipeline.hardware import devices
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter
from pipeline.stages import StageParser, execute
from pipeline.vision.detectors import open_regions

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
    pairs = feature_cache.distinct_pairs(config, data, frames.read("step_frame"), prompts, space)
    model = encoders.load(config.encoder, arguments.encoder, arguments.device)
    encoder = StepEncoder(None, model, prompts.sentences, config.precision)
    attributes = {"features": config.model_dump(), "weights": config.weights}
    identity = parser.identity(arguments, main)
    with PartsWriter(arguments.output, "cache", attributes, identity, arguments.shard) as writer:
        if arguments.shards:
            feature_cache.merge(config, pairs, prompts, arguments.shards, writer)
        else:
            feature_cache.build(config, encoder, regions, pairs, prompts, writer)


if __name__ == "__main__":
    execute(main, parser)
