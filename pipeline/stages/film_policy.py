"""Play the beginning of a trained policy's first episode again, for a video of it."""

from typing import Annotated

from pipeline.environments.action_space import ActionSpace
from pipeline.evaluation.run import play_policy
from pipeline.evaluation.video import VideoRecorder
from pipeline.stages import Input, Output, execute
from pipeline.stages._acting import Acting


def film_policy(*, policy: Input, acting: Acting, video: Annotated[Output, "MP4"]) -> None:
    """Load, play, write."""
    evaluation = acting.method.evaluation
    first, steps = evaluation.model_copy(update={"episodes": 1}), evaluation.video_steps
    actor = acting.actor(policy)
    actions = ActionSpace.from_dict(actor.description.actions)
    recorder = VideoRecorder(steps, actor.observer, actions)
    play_policy(acting.course(first, steps), actor, recorder)
    recorder.write(video)


if __name__ == "__main__":
    execute(film_policy)
