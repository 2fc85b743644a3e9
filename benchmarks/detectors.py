"""Seconds per frame of the detectors that need detectron2, one frame at a time.

Frames are of an Atari game's size, with 24 objects each. Weights are random, which takes the same
time as published ones; of the detectors that propose boxes themselves, 300 proposals pass the fifth
stage, of those with given proposals the 24 objects. Needs the environment of envs/detectron2.yaml.
"""

import resource
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks import _timing
from pipeline.config.schema import DetectorConfig
from pipeline.vision import detectors

SIZES = {
    "faster_rcnn_vg": 2048,
    "fast_rcnn_vg": 2048,
    "faster_rcnn_coco": 2048,
    "fast_rcnn_detectron2": 1024,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = _timing.parser(__doc__, repeats=1)
    parser.add_argument("--detectors", nargs="+", default=list(SIZES), choices=list(SIZES))
    chosen = parser.parse_args(arguments)
    _timing.start(chosen.threads)
    rows: list[_timing.Row] = []
    regions: dict[str, int] = {}
    shown = frames(1)
    for name in chosen.detectors:
        detector = detectors.make(DetectorConfig(name=name, feature_size=SIZES[name]))

        def run(detector: detectors.Detector = detector, name: str = name) -> None:
            regions[name] = int(detector(shown).mask.sum())

        seconds = _timing.medians({name: run}, chosen.repeats)
        core = _timing.core_seconds(run)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        rows.append(
            {
                "what": name,
                "s per frame": seconds[name],
                "core seconds per frame": core,
                "regions": regions[name],
                "largest memory so far (GB)": peak,
            }
        )
    _timing.report("Detectors on detectron2, random weights", rows, chosen.threads)


def frames(count: int) -> NDArray[np.uint8]:
    """(count, 210, 160, 3): 24 boxes of different colours."""
    shown = np.full((count, 210, 160, 3), 12, np.uint8)
    for frame in shown:
        for piece in range(24):
            y, x = 20 + 30 * (piece // 4), 5 + 37 * (piece % 4)
            frame[y : y + 8, x : x + 8] = (60 + 8 * piece, 250 - 9 * piece, 90)
    return shown


if __name__ == "__main__":
    main()
