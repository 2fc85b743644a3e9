"""Linear probe: how well E(S) tells the machine's coordinates, initially and pretrained (R²)."""

import tempfile
from pathlib import Path

import pandas as pd
import torch

from pipeline import encoders, probe
from pipeline.atomic import replacing
from pipeline.config import EnvironmentConfig, FeaturesConfig
from pipeline.detectors import open_regions
from pipeline.encoders import _pretraining
from pipeline.prompts import Prompts
from pipeline.stages import command, execute
from pipeline.storage import Artefact


def main() -> None:
    """Parse, load, probe, write."""
    parser = command(__doc__)
    parser.add_argument("--features", required=True, help="features section, JSON")
    parser.add_argument("--environment", required=True, help="environment section, JSON")
    for name in ("frames", "prompts", "regions", "encoder", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = FeaturesConfig.from_json(arguments.features).encoder
    variables = EnvironmentConfig.from_json(arguments.environment).state_variables
    sentences = Prompts.read(arguments.prompts).sentences
    frames = Artefact(arguments.frames, "frames")
    regions = open_regions(arguments.regions, frames)
    with tempfile.TemporaryDirectory() as folder:
        size = regions.shape("features")[-1]
        _pretraining.write_encoder(config, size, sentences, Path(folder))
        before = encoders.load(config, Path(folder))
    after = encoders.load(config, arguments.encoder)
    rows = {
        label: probe.coordinates(encoder, sentences, frames, regions, variables)
        for label, encoder in (("initial_r2", before), ("pretrained_r2", after))
    }
    table = pd.DataFrame(rows, dtype=float).rename_axis("variable").round(4)
    with replacing(arguments.output) as temporary:
        table.to_csv(temporary)


if __name__ == "__main__":
    execute(main)
