"""Print how a policy has played, and which files show it."""

import json
from typing import Annotated

from pipeline.evaluation.episodes import read_episodes
from pipeline.reporting.method_names import printed
from pipeline.stages import Inputs, execute
from pipeline.stages._runs import Runs


def demo(
    *,
    runs: Runs,
    episodes: Annotated[Inputs, "CSV, one for each of --runs"],
    run: Annotated[Inputs, "JSON: its description, one for each of --runs"],
    video: Annotated[Inputs, "MP4, one for each of --runs"],
    regions: Annotated[Inputs, "PNG: what a method that reads regions sees"] = (),
) -> None:
    """Read, print."""
    for each, played, described, film in zip(runs, episodes, run, video, strict=True):
        table, told = read_episodes(played), json.loads(described.read_text(encoding="utf-8"))
        data, returns = told["data_mean"], table["return"]
        known = table["noops"].isin(told["known_starts"]).sum()
        print(
            f"\n{printed(each.method, each.variant)} on {each.dataset}, seed {each.seed}: "
            f"{returns.mean():g} points, the mean of {len(returns)} episodes "
            f"({returns.min():g} to {returns.max():g}); recorded ones have {data:g} on average"
        )
        if known:
            same = len(told["ended_as_recorded"])
            print(f"{known} of them begin as a recorded one did, and {same} end as one")
        print(f"every episode             {played}\nthe first, as a film      {film}")
    for picture in regions:
        print(f"the regions that it sees  {picture}", flush=True)


if __name__ == "__main__":
    execute(demo)
