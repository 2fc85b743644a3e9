"""Play a trained policy's first episode again, alone, for a video of it."""

from typing import Annotated

from pipeline.evaluation.run import play_policy, target_return
from pipeline.evaluation.video import VideoRecorder, writing_video
from pipeline.stages import Input, Output, execute
from pipeline.stages._acting import Acting


def film_policy(*, policy: Input, acting: Acting, video: Annotated[Output, "MP4"]) -> None:
    """Load, play, write."""
    evaluation = acting.evaluation
    first, steps = evaluation.model_copy(update={"episodes": 1}), evaluation.video_steps
    loaded, protocol = acting.load(policy), acting.protocol(first, steps)
    asked = loaded.policy.settings.uses_returns
    target = target_return(evaluation, protocol.data) if asked else None
    with writing_video(video) as keep:
        recorder = VideoRecorder(steps, loaded.observer, loaded.actions, keep, target)
        play_policy(protocol, loaded, recorder)
    print(f"{video}: {recorder.summary}")


if __name__ == "__main__":
    execute(film_policy)
