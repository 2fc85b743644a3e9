"""Detect up to N regions in every distinct frame of a data set."""

from typing import Annotated

from pipeline.config.schema import DetectorConfig
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter
from pipeline.stages import Identity, Input, Output, OwnShard, Shards, execute
from pipeline.stages._device import Device
from pipeline.vision import detectors
from pipeline.vision.regions import detect, merge


def detect_regions(
    *,
    detector: DetectorConfig,
    frames: Annotated[Input, "artefact of render_frames"],
    detector_weights: Annotated[
        Input | None, "folder of retrieve, if the detector has published weights"
    ] = None,
    regions: Output,
    device: Device = "cpu",
    shard: OwnShard = None,
    shards: Shards = (),
    identity: Identity,
) -> None:
    """Load, detect, write."""
    seen = Artefact(frames, "frames")
    made = detectors.make(detector, device, detector_weights)
    attributes = {"detector": detector.model_dump()}
    with PartsWriter(regions, "regions", attributes, identity(), shard) as writer:
        if shards:
            merge(seen, shards, writer)
        else:
            detect(made, seen, writer)


if __name__ == "__main__":
    execute(detect_regions)
