"""Play a trained policy in closed loop: scores, and the run's description."""

from argparse import Namespace

from pipeline import checkpoints, devices, runs, trajectories
from pipeline.config import DatasetConfig, EnvironmentConfig, FeaturesConfig, MethodConfig
from pipeline.episodes import write_episodes
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(method=MethodConfig, features=FeaturesConfig)
parser.sections(environment=EnvironmentConfig, dataset=DatasetConfig)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--device", type=devices.claim, default="cpu", help=devices.HELP)
parser.inputs("policy")
parser.inputs("encoder", "prompts", required=False, help="for a method that reads embeddings")
parser.inputs("detector-weights", required=False, help="where its detector has published ones")
parser.inputs("trajectories", help="what was trained on")
parser.outputs("episodes-csv", "run-json")


def main(arguments: Namespace) -> None:
    """Load, play, write."""
    config, device = arguments.method, arguments.device
    course = runs.Course(
        arguments.environment,
        config.evaluation,
        trajectories.load(arguments.trajectories),
        arguments.dataset.max_episode_steps,
        arguments.seed,
    )
    policy, description = checkpoints.load(arguments.policy, config, device)
    eyes = arguments.encoder, arguments.prompts, arguments.detector_weights, device
    observer = runs.open_observer(arguments.features, description, *eyes)
    told = policy, description, observer, course.games()
    episodes, run = runs.play_policy(course, *told, device=device)
    write_episodes(arguments.episodes_csv, [(config.training.steps, one) for one in episodes])
    runs.write_run(arguments.run_json, run)


if __name__ == "__main__":
    execute(main, parser)
