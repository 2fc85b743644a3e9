"""The sentences of all prompt sets of one data set's actions, as a page."""

from collections.abc import Sequence
from typing import Annotated

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig
from pipeline.reporting.pages import listings
from pipeline.reporting.pages import page as pages
from pipeline.stages import Inputs, Output, execute


def list_prompts(
    *,
    environment: EnvironmentConfig,
    prompt_sets: Sequence[str],
    title: str,
    prompts: Annotated[Inputs, "one for each of --prompt-sets, in the same order"],
    page: Annotated[Output, "HTML"],
) -> None:
    """Read, write."""
    listed = listings.prompts(environments.make(environment).actions, prompt_sets, prompts)
    pages.write(page, title, pages.heading(title) + pages.table(listed))


if __name__ == "__main__":
    execute(list_prompts)
