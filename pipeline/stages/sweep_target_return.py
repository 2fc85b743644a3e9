"""Play a trained policy under several target returns: a row per episode."""

from argparse import Namespace

from pipeline import checkpoints, config, devices, runs, target_sweep, trajectories
from pipeline.atomic import replacing
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(method=config.MethodConfig, features=config.FeaturesConfig)
parser.sections(environment=config.EnvironmentConfig, dataset=config.DatasetConfig)
parser.sections(sweep=config.SweepConfig)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--device", type=devices.claim, default="cpu", help=devices.HELP)
parser.inputs("policy")
parser.inputs("encoder", "prompts", required=False, help="for a method that reads embeddings")
parser.inputs("detector-weights", required=False, help="where its detector has published ones")
parser.inputs("trajectories", help="what was trained on")
parser.outputs("output", help="CSV")


def main(arguments: Namespace) -> None:
    """Load, play, write."""
    course = runs.Course(
        arguments.environment,
        arguments.method.evaluation,
        trajectories.load(arguments.trajectories),
        arguments.dataset.max_episode_steps,
        arguments.seed,
    )
    device = arguments.device
    policy, described = checkpoints.load(arguments.policy, arguments.method, device)
    eyes = arguments.encoder, arguments.prompts, arguments.detector_weights, device
    observer = runs.open_observer(arguments.features, described, *eyes)
    played = target_sweep.play(course, policy, described, observer, arguments.sweep, device)
    with replacing(arguments.output) as temporary:
        played.to_csv(temporary, index=False)


if __name__ == "__main__":
    execute(main, parser)
