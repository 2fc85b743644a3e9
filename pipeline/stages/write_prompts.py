"""Write the sentences of an environment's actions, in one prompt set, as JSON."""

from typing import Annotated

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig
from pipeline.data.trajectories import load
from pipeline.features.prompts import NO_PROMPTS, PROMPT_SETS, Prompts, make
from pipeline.io.atomic import replacing
from pipeline.stages import GivenInput, Input, Output, Reads, execute


def write_prompts(
    *,
    environment: EnvironmentConfig,
    prompt_set: Annotated[str, ", ".join((*PROMPT_SETS, NO_PROMPTS))],
    resources: Annotated[
        GivenInput, Reads(lambda told: [told.environment.wording]), "folder of the wording"
    ],
    trajectories: Annotated[Input, "trajectories with the actions, if these are continuous"],
    prompts: Output,
) -> None:
    """Read, write."""
    space, actions = environments.make(environment).actions, load(trajectories).actions
    text = make(resources, environment, prompt_set, space, actions)
    with replacing(prompts) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"{len(Prompts.read(prompts).sentences)} distinct sentences")


if __name__ == "__main__":
    execute(write_prompts)
