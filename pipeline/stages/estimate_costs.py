"""Count a data set's frames and pairs, and time a few batches of detection and encoding."""

from argparse import Namespace

from pipeline.config.schema import EnvironmentConfig, FeaturesConfig
from pipeline.data.trajectories import load
from pipeline.environments import make
from pipeline.features import cost_estimate, feature_cache
from pipeline.features.prompts import Prompts
from pipeline.hardware import devices
from pipeline.io.artefact import Artefact
from pipeline.io.atomic import replacing
from pipeline.stages import StageParser, execute
from pipeline.vision import detectors

parser = StageParser(__doc__)
parser.sections(features=FeaturesConfig, environment=EnvironmentConfig)
parser.add_argument("--device", type=devices.claim, default="cpu", help=devices.HELP)
parser.add_argument("--dataset", required=True, help="name of the data set")
parser.add_argument("--features-name", required=True, help="name of the features")
parser.add_argument("--regions-name", required=True, help="of the features whose regions they use")
parser.inputs("frames", "prompts", "trajectories")
parser.inputs("detector-weights", required=False, help="of retrieve, if it has published ones")
parser.inputs("published", required=False, help="weights that the encoder begins with, of retrieve")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Load, probe, write."""
    config, device = arguments.features, arguments.device
    space = make(arguments.environment).actions
    prompts = Prompts.read(arguments.prompts)
    frames = Artefact(arguments.frames, "frames")
    data = load(arguments.trajectories)
    pairs = feature_cache.distinct_pairs(config, data, frames.read("step_frame"), prompts, space)
    detector = detectors.make(config.detector, device, arguments.detector_weights)
    seen = frames, pairs, prompts
    found = cost_estimate.estimate(config, detector, *seen, device, arguments.published)
    names = {"dataset": arguments.dataset, "features": arguments.features_name}
    names |= {"regions": arguments.regions_name, "storage": config.storage}
    with replacing(arguments.output) as temporary:
        cost_estimate.as_row(found, **names).to_csv(temporary, index=False, encoding="utf-8")


if __name__ == "__main__":
    execute(main, parser)
