"""Draw how a trained policy's attention spreads over the steps before, on held-out windows."""

from typing import Annotated

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.data.trajectories import load
from pipeline.io.atomic import replacing
from pipeline.observations.windows import Windows
from pipeline.reporting.figures import attention
from pipeline.stages import Input, Output, execute
from pipeline.training import checkpoint
from pipeline.training.held_out_metrics import draw_held_out
from pipeline.training.preparation import open_observations


def draw_attention(
    *,
    method: MethodConfig,
    environment: EnvironmentConfig,
    seed: int,
    title: str,
    policy: Input,
    observations: Input,
    trajectories: Input,
    picture: Annotated[Output, "PNG"],
) -> None:
    """Load, measure, draw."""
    game, data = environments.make(environment), load(trajectories)
    trained, description = checkpoint.load(policy, method)
    store = open_observations(method, game, data, observations)
    windows = Windows(data, store, game.actions, description.return_scale, method.policy)
    held_out = draw_held_out(windows, method.training, seed).batches
    with replacing(picture) as temporary:
        attention.draw(attention.measure(trained, held_out), title, temporary)


if __name__ == "__main__":
    execute(draw_attention)
