"""Stage one on recorded Breakout: seconds per distinct frame and per pair, and peak memory.

Runs the workflow's own commands on two amounts of data. The time per unit is the slope between the
two, so that the start of the interpreter is not in it; memory is each command's largest resident
set, and is flat if it hardly grows from the small amount to the large one. The encoder keeps its
initial weights, which takes the same time as a pretrained one. The defaults give about 2,000 and
20,000 distinct frames.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import _timing
from benchmarks._stages import Measured, stage_one
from pipeline.storage import Artefact

UNITS = {"render": "frame", "shrink": "frame", "detect": "frame", "encode": "pair"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = _timing.parser(__doc__, repeats=1)
    parser.add_argument("--small", type=int, default=3500, help="steps (default: 3500)")
    parser.add_argument("--large", type=int, default=25000, help="steps (default: 25000)")
    chosen = parser.parse_args(arguments)
    runs = [
        [measure(steps, chosen.threads) for steps in (chosen.small, chosen.large)]
        for _ in range(chosen.repeats)
    ]
    counts = [count for _, count in runs[0]]
    rows: list[_timing.Row] = []
    for stage, unit in UNITS.items():
        seconds, peaks = (
            [median(getattr(run[i][0][stage], field) for run in runs) for i in range(2)]
            for field in ("seconds", "peak_mb")
        )
        small, large = (count[unit] for count in counts)
        rows.append(
            {
                "stage": stage,
                "unit": f"distinct {unit}",
                "units, small": small,
                "units, large": large,
                "seconds, small": seconds[0],
                "seconds, large": seconds[1],
                "ms per unit": 1000 * (seconds[1] - seconds[0]) / (large - small),
                "peak MB, small": round(peaks[0]),
                "peak MB, large": round(peaks[1]),
                "large / small": peaks[1] / peaks[0],
            }
        )
    _timing.report("Stage one, recorded Breakout, compact features", rows, chosen.threads)


def measure(steps: int, threads: int) -> tuple[dict[str, Measured], dict[str, int]]:
    """Run stage one on about `steps` steps; what each stage took, and how much there was."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured = stage_one(folder, steps, threads)
        counts = {
            "frame": Artefact(folder / "frames.h5", "frames").shape("frames")[0],
            "pair": Artefact(folder / "cache.h5", "cache").shape("mask")[0],
        }
    return measured, counts


if __name__ == "__main__":
    main()
