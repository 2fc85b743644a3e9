"""Print what stage one will take, and refuse where the disk is too small for it."""

from typing import Annotated

from pipeline.features import cost_estimate
from pipeline.io.disk_space import GB, free_bytes
from pipeline.stages import Inputs, execute


def plan(*, estimates: Annotated[Inputs, "CSV files of estimate_costs"] = ()) -> None:
    """Read, print, check."""
    costs, place = cost_estimate.read(estimates), estimates[0]
    hours, held, needed = cost_estimate.totals(costs)
    print(cost_estimate.as_text(costs))
    print(
        f"\nall, stored as configured: {hours:.3g} h one job after the other, {held / GB:.3g} GB, "
        f"{needed / GB:.3g} GB while it is made; "
        f"{free_bytes(place) / GB:.3g} GB are free",
        flush=True,
    )
    cost_estimate.check_disk(costs, place)


if __name__ == "__main__":
    execute(plan)
