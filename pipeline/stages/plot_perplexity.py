"""A language model's curve → one picture."""

from typing import Annotated

from pipeline.io.atomic import replacing
from pipeline.reporting.figures import perplexity
from pipeline.stages import Input, Output, execute


def plot_perplexity(
    *,
    title: str,
    curve: Annotated[Input, "CSV of pretrain_language_model"],
    picture: Annotated[Output, "PNG"],
) -> None:
    """Read, draw."""
    with replacing(picture) as temporary:
        perplexity.plot(curve, title, temporary)


if __name__ == "__main__":
    execute(plot_perplexity)
