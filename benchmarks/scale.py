"""Stage one on more and more recorded Breakout: CPU time per frame and pair, and peak memory.

Runs the workflow's own commands on several amounts of data, each in a process of its own. The time
per unit is the slope between one amount and the next, so that the start of the interpreter is not
in it; it is flat if the slopes are equal. Memory is each command's largest resident set, and is
flat if it hardly grows. The encoder keeps its initial weights, which takes the same time as a
pretrained one. The recording has 46,934 steps, which is the most.
"""

import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks import _timing
from benchmarks._stages import Measured, stage_one
from pipeline.io.artefact import Artefact

UNITS = {"render": "frame", "shrink": "frame", "detect": "frame", "encode": "pair"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = _timing.parser(__doc__, repeats=1)
    parser.add_argument(
        "--steps",
        type=int,
        nargs="+",
        default=[1000, 10_000, 50_000],
        help="at most so many, in whole episodes (default: 1000 10000 50000)",
    )
    chosen = parser.parse_args(arguments)
    runs = [
        [measure(steps, chosen.threads) for steps in chosen.steps] for _ in range(chosen.repeats)
    ]
    counts = [count for _, count in runs[0]]
    rows: list[_timing.Row] = []
    for stage, unit in UNITS.items():
        seconds, peaks = (
            [median(getattr(run[i][0][stage], field) for run in runs) for i in range(len(counts))]
            for field in ("cpu_seconds", "peak_mb")
        )
        units = [count[unit] for count in counts]
        row: _timing.Row = {"stage": stage, "unit": f"distinct {unit}"}
        for (a, b), (first, last) in zip(pairwise(units), pairwise(seconds), strict=True):
            row[f"CPU ms each, {a:,} to {b:,} {unit}s"] = 1000 * (last - first) / (b - a)
        row |= {
            f"peak MB at {count:,} {unit}s": round(peak)
            for count, peak in zip(units, peaks, strict=True)
        }
        rows.append(row)
    for unit in ("frame", "pair"):
        chosen_rows = [row for row in rows if row["unit"] == f"distinct {unit}"]
        _timing.report(f"Stage one by {unit}, recorded Breakout", chosen_rows, chosen.threads)


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
