"""Detect up to N regions in every distinct frame of a data set."""

from argparse import Namespace

from pipeline import detectors, regions
from pipeline.config import DetectorConfig
from pipeline.stages import StageParser, execute
from pipeline.storage import Artefact, ArtefactWriter

parser = StageParser(__doc__)
parser.sections(detector=DetectorConfig)
parser.inputs("frames", help="artefact of render_frames")
parser.inputs("detector-weights", required=False, help="of retrieve, if it has published ones")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Load, detect, write."""
    frames = Artefact(arguments.frames, "frames")
    detector = detectors.make(arguments.detector, weights=arguments.detector_weights)
    attributes = {"detector": arguments.detector.model_dump()}
    with ArtefactWriter(arguments.output, "regions", attributes) as writer:
        regions.detect(detector, frames, writer)


if __name__ == "__main__":
    execute(main, parser)
