"""Predict recorded states or embeddings with a trained policy's model, and with what is simpler."""

from typing import Annotated

from pipeline.config.schema import MethodConfig, OpenLoopConfig
from pipeline.data.trajectories import load
from pipeline.evaluation import decision_time, imagined_loop, open_loop
from pipeline.io.atomic import replacing
from pipeline.observations.window_indices import split_episodes
from pipeline.observations.windows import Windows
from pipeline.stages import Input, Output, execute
from pipeline.training import checkpoint
from pipeline.training.preparation import open_observations


def predict_states(
    *,
    method: MethodConfig,
    open_loop_config: Annotated[OpenLoopConfig, "how far, from how many starts"],
    seed: int,
    policy: Input,
    trajectories: Input,
    observations: Annotated[Input | None, "the cache, where embeddings are predicted"] = None,
    errors: Annotated[Output, "CSV"],
) -> None:
    """Load, predict, write."""
    learner, told = checkpoint.load(policy, method)
    data = load(trajectories)
    fraction = method.training.held_out_fraction
    held_out = split_episodes(len(data.episode_length), fraction, seed)
    count, of = decision_time.parameters(learner), (held_out, open_loop_config)
    if observations is None:
        found = open_loop.measure(learner, count, data, *of, seed)
    else:
        actions, scale = learner.spec.choices, told.return_scale
        store = open_observations(method, actions, data, observations)
        windows = Windows(data, store, actions, scale, method.policy)
        found = imagined_loop.measure(learner, count, windows, *of)
    with replacing(errors) as temporary:
        found.to_csv(temporary, index=False, float_format="%.5g", encoding="utf-8")


if __name__ == "__main__":
    execute(predict_states)
