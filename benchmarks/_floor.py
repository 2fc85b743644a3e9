"""How near detection and encoding come to a floor: counted operations at the measured rate of one
large matrix product in the same precision, or counted bytes at the measured rate of a copy.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import _timing
from benchmarks._rungs import Data, read
from pipeline.config.schema import FeaturesConfig
from pipeline.features import encoders
from pipeline.features.prompts import Prompts
from pipeline.features.step_encoder import StepEncoder
from pipeline.vision import detectors, regions
from pipeline.vision.detectors import Regions

SIDE = 4096
ROUNDS = 5


def compare(
    folder: Path, features: FeaturesConfig, name: str, side: int = SIDE
) -> tuple[list[_timing.Row], str]:
    """A row for detection per frame and one for encoding per pair, on the claimed device `name`."""
    device = torch.device(name)
    data = read(folder, Prompts.read(folder / "prompts.json"))
    detector = detectors.make(features.detector, device)
    images = data.frames.read("frames", 0, regions.BATCH)
    found = detector(images)
    encoder = StepEncoder(
        None,
        encoders.load(features.encoder, folder / "encoder", device),
        data.prompts.sentences,
        features.precision,
    )
    some, frame, prompt = _batch(data, detector, features.encoding_batch)
    tokens = encoder.encode_regions(some, frame, prompt).tokens
    moved = {
        "detection": images.nbytes + sum(_bytes(getattr(found, n)) for n in detectors.ARRAYS),
        "encoding": sum(_bytes(getattr(some, n)) for n in detectors.ARRAYS) + _bytes(tokens),
    }
    work: dict[str, tuple[Callable[[], object], int, str]] = {
        "detection": (lambda: detector(images), len(images), features.detector.precision),
        "encoding": (
            lambda: encoder.encode_regions(some, frame, prompt),
            len(prompt),
            features.precision,
        ),
    }
    copied = _copy_rate(device)
    rows: list[_timing.Row] = []
    for what, (call, units, precision) in work.items():
        with FlopCounterMode(display=False) as counter:
            call()
        operations = counter.get_total_flops()
        rate = matrix_rate(device, getattr(torch, precision), side)
        seconds = _seconds(call, device)
        floor = max(operations / rate, moved[what] / copied)
        rows.append(
            {
                "what": f"{what}, {precision}",
                "per s": units / seconds,
                "MFLOP each": operations / units / 1e6,
                "KB moved each": moved[what] / units / 1e3,
                "floor, per s": units / floor,
                "share of the floor": floor / seconds,
            }
        )
    title = (
        f"Detection (frames) and encoding (pairs) on {name}, against the matrix products and "
        "copies of this machine in the same run"
    )
    return rows, title


def _batch(
    data: Data, detector: detectors.Detector, size: int
) -> tuple[Regions, torch.Tensor, torch.Tensor]:
    """Regions of some frames on the CPU, as they are read from disk, and the pairs of these."""
    pairs = data.pairs
    part = pairs.batch(0, size)
    rows, frame = np.unique(pairs.frame[part], return_inverse=True)
    found = detector(data.frames.gather("frames", rows)).to(torch.device("cpu"))
    return found, torch.from_numpy(frame), torch.from_numpy(pairs.prompt[part])


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def matrix_rate(device: torch.device, dtype: torch.dtype, side: int = SIDE) -> float:
    """Operations per second of one large matrix product."""
    one = torch.randn(side, side, device=device, dtype=dtype)
    return 2 * side**3 / _seconds(lambda: one @ one, device)


def _copy_rate(device: torch.device) -> float:
    """Bytes per second from memory to the device, or within memory."""
    one = torch.zeros(1 << 26, dtype=torch.uint8)
    return _bytes(one) / _seconds(lambda: one.to(device, copy=True), device)


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """The least of some rounds, after one that warms up."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])
