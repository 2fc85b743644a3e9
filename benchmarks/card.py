"""Whether a graphics card computes what the processor does, and how fast: one table in 8 minutes.

Rows, by group (`--only`):

gradients  losses and gradients of every method, on each kind of observation that it reads, against
           the processor's: same weights, same windows, float32 without TF32, no dropout
resume     weights of every method after a training that was killed and went on, against one that
           was not
floor      frames detected and pairs encoded per second, beside a floor from counted operations
training   updates per second at the sizes of config/paper.yaml, in float32 and bfloat16, with and
           without torch.compile of the transformer's blocks, beside a floor likewise

The first two are checks: if one fails, or is left out because time is over, the exit code is 1.
Without a card the same code runs on the processor, on less: the checks then compare the processor
with itself, and times say nothing about a card. Methods are found by themselves.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import _floor, _played, _timing
from benchmarks._against_cpu import compared
from benchmarks._outcome import FAILS, NOT_MEASURED, Item, Outcome, number, outcome_of
from benchmarks._paper_size import METHODS, PRECISIONS, Timings
from benchmarks._random_data import readers
from benchmarks._resumption import resumed
from benchmarks.stage_one import sized
from pipeline.config import plugins
from pipeline.hardware import devices

GROUPS = ("gradients", "resume", "floor", "training")
SMALL = {"context_length": 4, "memory_length": 4, "width": 32, "layers": 2, "heads": 2}
"""Settings of methods on the processor; on a card methods have their own."""
SMALL_SIDE = 512
FRAMES = {"cpu": 32, "cuda": 256}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print; exits with 1 if a check fails."""
    chosen = _parsed(arguments)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # the same bytes each time
    _timing.start(chosen.threads)
    device = devices.claim(chosen.device)
    deadline = time.monotonic() + 60 * chosen.minutes
    rows: list[_timing.Row] = []
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for item in items(chosen, device, Path(folder)):
            print(item.name, file=sys.stderr, flush=True)
            late = Outcome("time is over", verdict=FAILS if item.check else NOT_MEASURED)
            found = late if time.monotonic() > deadline else outcome_of(item)
            failed |= found.verdict == FAILS
            rows.append(row(item.name, found))
    where = "a card" if device == "cuda" else "the processor, small, for no card is used"
    _timing.report(f"Checks and speed on {where}", rows, chosen.threads)
    sys.exit(int(failed))


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _timing.parser(__doc__, repeats=1)
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:<i>")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS, help="groups of rows")
    methods = plugins.names("methods")
    told = "of the rows on methods (default: all that are found)"
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods, help=told)
    told = "updates per repeat (default: 20 on a card, 1 on the processor)"
    parser.add_argument("--steps", type=int, help=told)
    parser.add_argument("--no-compile", action="store_true", help="leave out what is compiled")
    told = "after so many nothing new is begun (default: 8)"
    parser.add_argument("--minutes", type=float, default=8.0, help=told)
    return parser.parse_args(arguments)


def items(chosen: argparse.Namespace, device: str, folder: Path) -> Iterator[Item]:
    """Every row that is asked for, to be measured; checks come first."""
    policy = SMALL if device == "cpu" else {}
    for group, check in (("gradients", compared), ("resume", resumed)):
        for method, kind in readers() if group in chosen.only else ():
            if method in chosen.methods:
                measure = partial(check, method, kind, policy, device)
                yield Item(f"{group}, {method} on {kind}", measure, check=True)
    if "floor" in chosen.only:
        yield from stage_one(device, folder)
    if "training" in chosen.only:
        yield from timings(chosen, device).items(chosen.methods)


def stage_one(device: str, folder: Path) -> Iterator[Item]:
    """Detection and encoding, which are measured together; compact features on the processor."""
    found: list[_timing.Row] = []

    def measured(index: int) -> Outcome:
        if not found:
            features = sized(full_size=device != "cpu")
            _played.write(folder, features, FRAMES[device])
            side = SMALL_SIDE if device == "cpu" else _floor.SIDE
            found.extend(_floor.compare(folder, features, device, side)[0])
        each = found[index]
        rate, floor = (float(each[key]) for key in ("per s", "floor, per s"))
        return Outcome(number(rate), number(floor), f"{rate / floor:.0%} of the floor")

    for index, name in enumerate(("frames detected per s", "pairs encoded per s")):
        yield Item(name, partial(measured, index))


def timings(chosen: argparse.Namespace, device: str) -> Timings:
    """Of training: on the processor with few windows, of which one method is compiled."""
    if device == "cpu":
        found = Timings(device, steps=1, batch=2, context=4, side=SMALL_SIDE)
        found.compiled = ((METHODS[0], PRECISIONS[0]),)
    else:
        found = Timings(device, steps=20)
    found.steps, found.repeats = chosen.steps or found.steps, chosen.repeats
    if chosen.no_compile:
        found.compiled = ()
    return found


def row(name: str, found: Outcome) -> _timing.Row:
    """For the table."""
    return {
        "check": name,
        "measured": found.measured,
        "bound or floor": found.bound,
        "verdict": found.verdict,
    }


if __name__ == "__main__":
    main()
