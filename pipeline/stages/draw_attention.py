"""Draw how a trained policy's attention spreads over the steps before, on held-out windows."""

from typing import Annotated

from pipeline.config.schema import MethodConfig
from pipeline.io.atomic import replacing
from pipeline.reporting.figures import attention
from pipeline.stages import Input, Output, execute
from pipeline.stages._recorded import Recorded
from pipeline.training import checkpoint, preparation
from pipeline.training.held_out_metrics import draw_held_out


def draw_attention(
    *,
    method: MethodConfig,
    recorded: Recorded,
    seed: int,
    title: str,
    policy: Input,
    picture: Annotated[Output, "PNG"],
) -> None:
    """Load, measure, draw."""
    trained, _ = checkpoint.load(policy, method)
    windows, _ = preparation.open_windows(method, recorded.load(), tasks=recorded.task)
    held_out = draw_held_out(windows, method.training, seed).batches
    with replacing(picture) as temporary:
        attention.draw(attention.measure(trained, held_out), title, temporary)


if __name__ == "__main__":
    execute(draw_attention)
