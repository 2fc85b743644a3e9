"""Play the beginning of a trained policy's first episode again, for a video of it."""

from argparse import Namespace

from pipeline import checkpoints, devices, runs, trajectories
from pipeline.config import DatasetConfig, EnvironmentConfig, FeaturesConfig, MethodConfig
from pipeline.rollout_video import VideoRecorder
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
parser.outputs("video", help="MP4 file")


def main(arguments: Namespace) -> None:
    """Load, play, write."""
    config, device = arguments.method, arguments.device
    steps = config.evaluation.video_steps
    course = runs.Course(
        arguments.environment,
        config.evaluation.model_copy(update={"episodes": 1}),
        trajectories.load(arguments.trajectories),
        min(steps, arguments.dataset.max_episode_steps),
        arguments.seed,
    )
    policy, description = checkpoints.load(arguments.policy, config, device)
    eyes = arguments.encoder, arguments.prompts, arguments.detector_weights, device
    observer = runs.open_observer(arguments.features, description, *eyes)
    games = course.games()
    video = VideoRecorder(steps, observer, games[0].actions)
    runs.play_policy(course, policy, description, observer, games, video, device)
    video.write(arguments.video)


if __name__ == "__main__":
    execute(main, parser)
