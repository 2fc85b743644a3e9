"""What every benchmark needs: an argument parser, fair repeats, and a printed table."""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

Row = dict[str, str | int | float]


def parser(doc: str | None, repeats: int) -> argparse.ArgumentParser:
    """A parser whose `--help` opens with the benchmark's docstring."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--threads", type=int, default=1, help="threads of torch (default: 1)")
    made.add_argument(
        "--repeats", type=int, default=repeats, help=f"medians are over these (default: {repeats})"
    )
    return made


def medians(work: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each piece of work.

    A first round warms up and is not counted. Every round runs all pieces in turn, so that a
    machine that is busy for a while slows all of them and leaves their ratio as it is.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats + 1):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: median(values[1:]) for name, values in seconds.items()}


def core_seconds(run: Callable[[], Any]) -> float:
    """Seconds of all cores together that one call takes; a busy machine changes them less."""
    start = time.process_time()
    run()
    return time.process_time() - start


def machine(threads: int) -> str:
    """The machine line below every table."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0].partition(":")[2].strip() if lines else model
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    python = platform.python_version()
    where = f"{model}, {os.cpu_count()} CPUs, torch threads {threads}"
    return f"{where}, {_cards()}Python {python}, {packages}"


def _cards() -> str:
    """The card that is used, if there is one, and what drives it."""
    if not torch.cuda.is_available():
        return ""
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, "


PACKAGES = ("torch", "transformers", "numpy")


def report(title: str, rows: Sequence[Row], threads: int) -> None:
    """Print a Markdown table, the machine, and all of it as one line of JSON."""
    header = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_text(row.get(key, "")) for key in header] for row in rows]
    print(f"\n{title}\n")
    for line in [header, ["---", *["---:"] * (len(header) - 1)], *cells]:
        print(f"| {' | '.join(line)} |")
    print(f"\n{machine(threads)}\n")
    print(json.dumps({"title": title, "rows": list(rows), "machine": machine(threads)}))


def start(threads: int) -> None:
    """Fix torch's threads, and its seed."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)


def _text(value: str | int | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
