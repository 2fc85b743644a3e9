"""Play the beginning of a trained policy's first episode again, for a video of it."""

from argparse import Namespace

from pipeline.environments.action_space import ActionSpace
from pipeline.evaluation.run import play_policy
from pipeline.evaluation.video import VideoRecorder
from pipeline.stages import _acting, execute

parser = _acting.ActingParser(__doc__, "policy")
parser.outputs("video", help="MP4 file")


def main(arguments: Namespace) -> None:
    """Load, play, write."""
    evaluation = arguments.method.evaluation
    first, steps = evaluation.model_copy(update={"episodes": 1}), evaluation.video_steps
    actor = _acting.actor(arguments, arguments.policy)
    actions = ActionSpace.from_dict(actor.description.actions[0])
    video = VideoRecorder(steps, actor.observer, actions)
    play_policy(_acting.course(arguments, first, steps), actor, video)
    video.write(arguments.video)


if __name__ == "__main__":
    execute(main, parser)
