"""Detect up to N regions in every distinct frame of a data set."""

from argparse import Namespace

from pipeline import detectors, devices, regions
from pipeline.config import DetectorConfig
from pipeline.parts import PartsWriter
from pipeline.stages import StageParser, execute
from pipeline.storage import Artefact

parser = StageParser(__doc__)
parser.sections(detector=DetectorConfig)
parser.device()
parser.shards()
parser.inputs("frames", help="artefact of render_frames")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Load, detect, write."""
    frames = Artefact(arguments.frames, "frames")
    detector = detectors.make(arguments.detector, devices.choose(arguments.device))
    attributes = {"detector": arguments.detector.model_dump()}
    identity = parser.identity(arguments, main)
    with PartsWriter(arguments.output, "regions", attributes, identity, arguments.shard) as writer:
        if arguments.shards:
            regions.merge(frames, arguments.shards, writer)
        else:
            regions.detect(detector, frames, writer)


if __name__ == "__main__":
    execute(main, parser)
