"""Initialise the configured LXMERT and pretrain it on the frames and prompts at hand."""

from pathlib import Path

import pandas as pd
import torch

from pipeline.atomic import replacing, replacing_folder
from pipeline.cache import distinct_pairs
from pipeline.config import EnvironmentConfig, FeaturesConfig
from pipeline.detectors import open_regions
from pipeline.encoders import _pretraining as pretraining
from pipeline.environments import make
from pipeline.prompts import Prompts
from pipeline.stages import command, execute
from pipeline.storage import Artefact
from pipeline.trajectories import load


def main() -> None:
    """Parse, load, pretrain, write."""
    parser = command(__doc__)
    parser.add_argument("--features", required=True, help="features section, JSON")
    parser.add_argument("--environment", required=True, help="environment section, JSON")
    for name in ("trajectories", "frames", "prompts", "regions"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="folder of the encoder")
    parser.add_argument("--curve", type=Path, required=True, help="CSV of the losses")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = FeaturesConfig.from_json(arguments.features)
    noop = make(EnvironmentConfig.from_json(arguments.environment)).noop
    prompts = Prompts.read(arguments.prompts)
    frames = Artefact(arguments.frames, "frames")
    regions = open_regions(arguments.regions, frames)
    data = load(arguments.trajectories)
    pairs = distinct_pairs(config, data, frames.read("step_frame"), prompts, noop)
    encoder, size, sentences = config.encoder, regions.shape("features")[-1], prompts.sentences
    with replacing_folder(arguments.output) as folder, replacing(arguments.curve) as curve:
        pretraining.write_encoder(encoder, size, sentences, folder)
        rows = pretraining.pretrain(
            encoder, folder, regions, sentences, (pairs.frame, pairs.prompt)
        )
        table = pd.DataFrame(rows, columns=["step", *pretraining.OBJECTIVES])
        table.to_csv(curve, index=False)


if __name__ == "__main__":
    execute(main)
