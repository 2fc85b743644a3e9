"""Take the first layers of a published GPT-2, for policies to begin with."""

from typing import Annotated

from pipeline.config.schema import LanguageModelConfig
from pipeline.language import gpt2
from pipeline.stages import Input, Output, execute


def take_layers(
    *,
    language_model: LanguageModelConfig,
    published: Annotated[Input, "folder of retrieve"],
    model: Annotated[Output, "weights"],
) -> None:
    """Read, rename, write."""
    gpt2.take_layers(language_model, published, model)


if __name__ == "__main__":
    execute(take_layers)
