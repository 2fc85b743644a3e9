"""Print what stage one will take, and refuse where the disk is too small for it."""

from argparse import Namespace

from pipeline.features import cost_estimate
from pipeline.io.disk_space import GB, free_bytes
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.inputs("estimates", nargs="+", help="CSV files of estimate_costs")


def main(arguments: Namespace) -> None:
    """Read, print, check."""
    estimates, place = cost_estimate.read(arguments.estimates), arguments.estimates[0]
    hours, held, needed = cost_estimate.totals(estimates)
    print(cost_estimate.as_text(estimates))
    print(
        f"\nall, stored as configured: {hours:.3g} h one job after the other, {held / GB:.3g} GB, "
        f"{needed / GB:.3g} GB while it is made; "
        f"{free_bytes(place) / GB:.3g} GB are free",
        flush=True,
    )
    cost_estimate.check_disk(estimates, place)


if __name__ == "__main__":
    execute(main, parser)
