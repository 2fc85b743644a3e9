"""Count a data set's frames and pairs, and time a few batches of detection and encoding."""

from argparse import Namespace

from pipeline import cache, detectors, devices, plan
from pipeline.atomic import replacing
from pipeline.config import EnvironmentConfig, FeaturesConfig
from pipeline.environments import make
from pipeline.prompts import Prompts
from pipeline.stages import StageParser, execute
from pipeline.storage import Artefact
from pipeline.trajectories import load

parser = StageParser(__doc__)
parser.sections(features=FeaturesConfig, environment=EnvironmentConfig)
parser.device()
parser.add_argument("--dataset", required=True, help="name of the data set")
parser.add_argument("--features-name", required=True, help="name of the features")
parser.add_argument("--regions-name", required=True, help="of the features whose regions they use")
parser.inputs("frames", "prompts", "trajectories")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Load, probe, write."""
    config, device = arguments.features, devices.choose(arguments.device)
    noop = make(arguments.environment).noop
    prompts = Prompts.read(arguments.prompts)
    frames = Artefact(arguments.frames, "frames")
    data = load(arguments.trajectories)
    pairs = cache.distinct_pairs(config, data, frames.read("step_frame"), prompts, noop)
    detector = detectors.make(config.detector, device)
    found = plan.estimate(config, detector, frames, pairs, prompts, device)
    names = {"dataset": arguments.dataset, "features": arguments.features_name}
    names |= {"regions": arguments.regions_name, "storage": config.storage}
    with replacing(arguments.output) as temporary:
        plan.as_row(found, **names).to_csv(temporary, index=False)


if __name__ == "__main__":
    execute(main, parser)
