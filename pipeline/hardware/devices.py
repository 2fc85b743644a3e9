"""Where a stage computes (the processor, or a graphics card that no other job of this machine
has), and in which precision.

Snakemake's `gpu` resource limits how many jobs run at once, but does not tell cards apart. So a
job claims its card by a lock on a file that is named after the card. The system frees the lock
when its process ends, however that ends. CUDA_VISIBLE_DEVICES, which schedulers set, is respected:
torch shows no other cards.
"""

import fcntl
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import IO

import torch

from pipeline.config.schema import TrainingPrecision
from pipeline.errors import PipelineError
from pipeline.hardware import distributed

HELP = "auto, cpu, cuda or cuda:<number> (default: cpu)"
WAITING = 1.0
"""Seconds between two looks for a card that has become free."""
_held: list[IO[str]] = []  # locks of this process, until it ends


def claim(wanted: str) -> str:
    """Take the device `wanted` (`auto`, `cpu`, `cuda`, `cuda:<i>`); returns `cpu` or `cuda`.

    `cuda` is from then on the card that was taken. Waits while all that will do are taken. Raises
    PipelineError for another name, or where there is no such card.
    """
    cards = candidates(wanted, [] if wanted == "cpu" else visible())
    if not cards:
        return "cpu"
    if (jobs := distributed.processes_here()) > len(cards):
        raise PipelineError(
            f"--device: {jobs} processes cannot share {len(cards)} cards; start fewer"
        )
    torch.cuda.set_device(take(cards, _lock_folder()))
    return "cuda"


def candidates(wanted: str, cards: Sequence[str]) -> dict[int, str]:
    """Which of `cards` (names that no two share) will do, by index; none for the processor."""
    index = re.fullmatch(r"cuda:(\d+)", wanted)
    if wanted not in ("auto", "cpu", "cuda") and index is None:
        raise PipelineError(f"--device: {wanted!r}; allowed: auto, cpu, cuda, cuda:<number>")
    if wanted == "cpu" or (wanted == "auto" and not cards):
        return {}
    chosen = {i: card for i, card in enumerate(cards) if index is None or i == int(index[1])}
    if not chosen:
        raise PipelineError(
            f"--device: {wanted}, but {len(cards)} CUDA devices are visible here; "
            "use cpu or auto, or look at CUDA_VISIBLE_DEVICES and the driver"
        )
    return chosen


def take(cards: dict[int, str], folder: Path, wait: Callable[[float], None] = time.sleep) -> int:
    """Lock one of `cards` until this process ends; returns its index. Waits for one to be free."""
    told = False
    while True:
        for index, card in cards.items():
            file = (folder / f"{card}.lock").open("a", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                continue
            _held.append(file)
            return index
        if not told:
            print(f"waiting for a free device: {', '.join(cards.values())}", file=sys.stderr)
            told = True
        wait(WAITING)


def visible() -> list[str]:
    """The cards that torch shows, by names that are the same in every job of this machine."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [str(torch.cuda.get_device_properties(index).uuid) for index in range(count)]


@contextmanager
def mixed_precision(precision: TrainingPrecision) -> Iterator[None]:
    """Matrix products and convolutions in `precision`, wherever they run; the rest in float32."""
    with ExitStack() as stack:
        for kind in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            if precision == "bfloat16" or (precision == "native" and multiplies_bfloat16(kind)):
                stack.enter_context(torch.autocast(kind, torch.bfloat16))
        yield


@cache
def multiplies_bfloat16(kind: str) -> bool:
    """Whether `cpu` or `cuda` has instructions for it. Without them a product in bfloat16 takes up
    to twenty times as long as one in float32.
    """
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    if found["architecture"] == "x86_64":
        return bool(found["avx512_bf16"] or found["amx_bf16"])
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _lock_folder() -> Path:
    """The same for every job of a user on this machine."""
    folder = Path(tempfile.gettempdir()) / f"more3s-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
