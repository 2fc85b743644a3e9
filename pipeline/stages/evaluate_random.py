"""Play uniformly random actions, the reference that learned play has to beat."""

from argparse import Namespace

from pipeline.config.schema import DatasetConfig, EnvironmentConfig, EvaluationConfig
from pipeline.data import trajectories
from pipeline.evaluation import run as runs
from pipeline.evaluation.episodes import write_episodes
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(environment=EnvironmentConfig, dataset=DatasetConfig, evaluation=EvaluationConfig)
parser.add_argument("--seed", type=int, required=True)
parser.inputs("trajectories", help="whose scores the run's description quotes")
parser.outputs("episodes-csv", "run-json")


def main(arguments: Namespace) -> None:
    """Load, play, write."""
    course = runs.EvaluationProtocol(
        arguments.environment,
        arguments.evaluation,
        trajectories.load(arguments.trajectories),
        arguments.dataset.max_episode_steps,
        arguments.seed,
    )
    episodes, run = runs.play_random(course)
    write_episodes(arguments.episodes_csv, [(0, episode) for episode in episodes])
    runs.write_run(arguments.run_json, run)


if __name__ == "__main__":
    execute(main, parser)
