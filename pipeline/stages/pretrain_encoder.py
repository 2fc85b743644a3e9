"""Initialise the configured encoder and pretrain it on the frames and prompts at hand."""

from argparse import Namespace

from pipeline import encoders
from pipeline.atomic import replacing, replacing_folder
from pipeline.cache import distinct_pairs
from pipeline.config import EnvironmentConfig, FeaturesConfig
from pipeline.detectors import open_regions
from pipeline.environments import make
from pipeline.prompts import Prompts
from pipeline.stages import StageParser, execute
from pipeline.storage import Artefact
from pipeline.trajectories import load

parser = StageParser(__doc__)
parser.sections(features=FeaturesConfig, environment=EnvironmentConfig)
parser.inputs("regions", "frames", "prompts", "trajectories")
parser.outputs("output", help="folder of the encoder")
parser.outputs("curve", help="CSV of the losses")


def main(arguments: Namespace) -> None:
    """Load, pretrain, write."""
    config = arguments.features
    space = make(arguments.environment).actions
    prompts = Prompts.read(arguments.prompts)
    frames = Artefact(arguments.frames, "frames")
    regions = open_regions(arguments.regions, frames)
    data = load(arguments.trajectories)
    pairs = distinct_pairs(config, data, frames.read("step_frame"), prompts, space)
    encoder, size, sentences = config.encoder, regions.shape("features")[-1], prompts.sentences
    with replacing_folder(arguments.output) as folder, replacing(arguments.curve) as curve:
        encoders.create(encoder, size, sentences, folder)
        rows = encoders.pretrain(encoder, folder, regions, sentences, (pairs.frame, pairs.prompt))
        rows.to_csv(curve, index=False)


if __name__ == "__main__":
    execute(main, parser)
