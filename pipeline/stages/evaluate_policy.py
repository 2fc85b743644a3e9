"""Play a trained policy in closed loop: scores, the run's description, and a rollout video."""

from argparse import Namespace

from pipeline import checkpoints, runs, trajectories
from pipeline.config import DatasetConfig, EnvironmentConfig, FeaturesConfig, MethodConfig
from pipeline.episodes import write_episodes
from pipeline.rollout_video import VideoRecorder
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(method=MethodConfig, features=FeaturesConfig)
parser.sections(environment=EnvironmentConfig, dataset=DatasetConfig)
parser.add_argument("--seed", type=int, required=True)
parser.inputs("policy")
parser.inputs("encoder", "prompts", required=False, help="for a method that reads embeddings")
parser.inputs("trajectories", help="what was trained on")
parser.outputs("episodes-csv", "run-json")
parser.outputs("video", required=False, help="MP4 file of the first episode")


def main(arguments: Namespace) -> None:
    """Load, play, write."""
    config = arguments.method
    course = runs.Course(
        arguments.environment,
        config.evaluation,
        trajectories.load(arguments.trajectories),
        arguments.dataset.max_episode_steps,
        arguments.seed,
    )
    policy, description = checkpoints.load(arguments.policy, config)
    observer = runs.open_observer(
        policy.observation, arguments.features, description, arguments.encoder, arguments.prompts
    )
    games = course.games()
    video = VideoRecorder(config.evaluation.video_steps, observer, games[0].actions)
    episodes, run = runs.play_policy(course, policy, description, observer, games, video)
    write_episodes(arguments.episodes_csv, [(config.training.steps, one) for one in episodes])
    runs.write_run(arguments.run_json, run)
    if arguments.video is not None:
        video.write(arguments.video)


if __name__ == "__main__":
    execute(main, parser)
