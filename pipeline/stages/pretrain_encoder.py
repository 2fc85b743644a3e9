"""Initialise the configured encoder and pretrain it on the frames and prompts at hand."""

from argparse import Namespace

from pipeline.config.schema import EnvironmentConfig, FeaturesConfig
from pipeline.data.trajectories import load
from pipeline.environments import make
from pipeline.features import encoders
from pipeline.features.feature_cache import distinct_pairs
from pipeline.features.prompts import Prompts
from pipeline.hardware import devices
from pipeline.io.artefact import Artefact
from pipeline.io.atomic import replacing, replacing_folder
from pipeline.stages import StageParser, execute
from pipeline.vision.detectors import open_regions

parser = StageParser(__doc__)
parser.sections(features=FeaturesConfig, environment=EnvironmentConfig)
parser.inputs("regions", "frames", "prompts", "trajectories")
parser.inputs("published", required=False, help="weights that it begins with, of retrieve")
parser.add_argument("--device", type=devices.claim, default="cpu", help=devices.HELP)
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
        encoders.create(encoder, size, sentences, folder, arguments.published)
        seen = regions, sentences, (pairs.frame, pairs.prompt)
        rows = encoders.pretrain(encoder, folder, *seen, arguments.device)
        rows.to_csv(curve, index=False, encoding="utf-8")


if __name__ == "__main__":
    execute(main, parser)
