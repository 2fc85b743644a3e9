"""A rollout video as a page that plays it, for the report."""

from typing import Annotated

from pipeline.reporting.pages import page as pages
from pipeline.reporting.pages.film import fitting
from pipeline.stages import Input, Output, execute


def show_rollout(
    *,
    title: str,
    video: Annotated[Input, "MP4 of film_policy"],
    page: Annotated[Output, "HTML"],
) -> None:
    """Read, write."""
    pages.write(page, title, pages.heading(title) + pages.video(fitting(video, pages.VIDEO_LIMIT)))


if __name__ == "__main__":
    execute(show_rollout)
