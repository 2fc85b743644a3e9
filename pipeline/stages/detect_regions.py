"""Detect up to N regions in every distinct frame of a data set."""

from argparse import Namespace

from pipeline.config.schema import DetectorConfig
from pipeline.hardware import devices
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter
from pipeline.stages import StageParser, execute
from pipeline.vision import detectors, regions

parser = StageParser(__doc__)
parser.sections(detector=DetectorConfig)
parser.add_argument("--device", type=devices.claim, default="cpu", help=devices.HELP)
parser.shards()
parser.inputs("frames", help="artefact of render_frames")
parser.inputs("detector-weights", required=False, help="of retrieve, if it has published ones")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Load, detect, write."""
    frames = Artefact(arguments.frames, "frames")
    config, device = arguments.detector, arguments.device
    detector = detectors.make(config, device, arguments.detector_weights)
    attributes = {"detector": config.model_dump()}
    identity = parser.identity(arguments, main)
    with PartsWriter(arguments.output, "regions", attributes, identity, arguments.shard) as writer:
        if arguments.shards:
            regions.merge(frames, arguments.shards, writer)
        else:
            regions.detect(detector, frames, writer)


if __name__ == "__main__":
    execute(main, parser)
