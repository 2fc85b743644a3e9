"""Runs' episodes and descriptions → `scores/<table>.csv`, one row per episode."""

from typing import Annotated

from pipeline.io.atomic import replacing
from pipeline.reporting.scores import gather
from pipeline.stages import Inputs, Output, execute
from pipeline.stages._runs import Runs


def gather_scores(
    *,
    runs: Runs,
    episodes: Annotated[Inputs, "one for each of --runs, in the same order"],
    run: Annotated[Inputs, "one for each of --runs, in the same order"],
    checkpoint_runs: Runs = (),
    checkpoints: Annotated[Inputs, "one for each of --checkpoint-runs, in the same order"] = (),
    scores: Output,
) -> None:
    """Read → gather → write."""
    earlier = dict(zip(checkpoint_runs, checkpoints, strict=True))
    with replacing(scores) as temporary:
        gather(runs, episodes, run, earlier).to_csv(temporary, index=False, encoding="utf-8")


if __name__ == "__main__":
    execute(gather_scores)
