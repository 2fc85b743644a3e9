"""Play the beginning of a trained policy's first episode again, for a video of it."""

from typing import Annotated

from pipeline.environments.action_space import ActionSpace
from pipeline.evaluation.run import play_policy
from pipeline.evaluation.video import VideoRecorder
from pipeline.stages import Input, Output, execute
from pipeline.stages._acting import Acting


def film_policy(*, policy: Input, acting: Acting, video: Annotated[Output, "MP4"]) -> None:
    """Load, play, write."""
    evaluation = acting.evaluation
    first, steps = evaluation.model_copy(update={"episodes": 1}), evaluation.video_steps
    loaded = acting.load(policy)
    actions = ActionSpace.from_dict(loaded.description.actions[0])
    recorder = VideoRecorder(steps, loaded.observer, actions)
    play_policy(acting.protocol(first, steps), loaded, recorder)
    recorder.write(video)
    print(f"{video}: {recorder.summary}")


if __name__ == "__main__":
    execute(film_policy)
