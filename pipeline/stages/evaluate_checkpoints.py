"""Play every checkpoint of a training run before its last, in closed loop: a learning curve."""

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
parser.inputs("checkpoints", help="folder")
parser.inputs("encoder", "prompts", required=False, help="for a method that reads embeddings")
parser.inputs("detector-weights", required=False, help="where its detector has published ones")
parser.inputs("trajectories", help="what was trained on")
parser.outputs("episodes-csv")


def main(arguments: Namespace) -> None:
    """Load, play each, write."""
    course = runs.Course(
        arguments.environment,
        arguments.method.evaluation.fewer(),
        trajectories.load(arguments.trajectories),
        arguments.dataset.max_episode_steps,
        arguments.seed,
    )
    played, device = [], arguments.device
    for step, path in checkpoints.steps(arguments.checkpoints).items():
        policy, description = checkpoints.load(path, arguments.method, device)
        eyes = arguments.encoder, arguments.prompts, arguments.detector_weights, device
        observer = runs.open_observer(arguments.features, description, *eyes)
        told = policy, description, observer, course.games()
        episodes, _ = runs.play_policy(course, *told, device=device)
        played += [(step, episode) for episode in episodes]
    write_episodes(arguments.episodes_csv, played)


if __name__ == "__main__":
    execute(main, parser)
