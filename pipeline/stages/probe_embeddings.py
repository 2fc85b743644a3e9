"""Linear probe: how well E(S) tells the machine's coordinates, initially and pretrained (R²)."""

import tempfile
from argparse import Namespace
from pathlib import Path

import pandas as pd

from pipeline.config.schema import EnvironmentConfig, FeaturesConfig
from pipeline.features import encoders, linear_probe
from pipeline.features.prompts import Prompts
from pipeline.io.artefact import Artefact
from pipeline.io.atomic import replacing
from pipeline.stages import StageParser, execute
from pipeline.vision.detectors import open_regions

parser = StageParser(__doc__)
parser.sections(features=FeaturesConfig, environment=EnvironmentConfig)
parser.inputs("encoder", "regions", "frames", "prompts")
parser.inputs("published", required=False, help="weights that it begins with, of retrieve")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Load, probe, write."""
    config = arguments.features.encoder
    variables = arguments.environment.state_variables
    sentences = Prompts.read(arguments.prompts).sentences
    frames = Artefact(arguments.frames, "frames")
    regions = open_regions(arguments.regions, frames)
    with tempfile.TemporaryDirectory() as folder:
        size = regions.shape("features")[-1]
        encoders.create(config, size, sentences, Path(folder), arguments.published)
        before = encoders.load(config, Path(folder))
    after = encoders.load(config, arguments.encoder)
    rows = {
        label: linear_probe.coordinates(encoder, sentences, frames, regions, variables)
        for label, encoder in (("initial_r2", before), ("pretrained_r2", after))
    }
    table = pd.DataFrame(rows, dtype=float).rename_axis("variable").round(4)
    with replacing(arguments.output) as temporary:
        table.to_csv(temporary, encoding="utf-8")


if __name__ == "__main__":
    execute(main, parser)
