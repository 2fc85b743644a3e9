"""Predict recorded states with a trained policy's model, and with a one-step model beside it."""

from typing import Annotated

from pipeline.config.schema import MethodConfig, OpenLoopConfig
from pipeline.data.trajectories import load
from pipeline.evaluation import decision_time, open_loop
from pipeline.io.atomic import replacing
from pipeline.observations.window_indices import split_episodes
from pipeline.stages import Input, Output, execute
from pipeline.training import checkpoint


def predict_states(
    *,
    method: MethodConfig,
    open_loop_config: Annotated[OpenLoopConfig, "how far, from how many starts"],
    seed: int,
    policy: Input,
    trajectories: Input,
    errors: Annotated[Output, "CSV"],
) -> None:
    """Load, predict, write."""
    learner, _ = checkpoint.load(policy, method)
    data = load(trajectories)
    fraction = method.training.held_out_fraction
    held_out = split_episodes(len(data.episode_length), fraction, seed)
    count = decision_time.parameters(learner)
    found = open_loop.measure(learner, count, data, held_out, open_loop_config, seed)
    with replacing(errors) as temporary:
        found.to_csv(temporary, index=False, float_format="%.5g", encoding="utf-8")


if __name__ == "__main__":
    execute(predict_states)
