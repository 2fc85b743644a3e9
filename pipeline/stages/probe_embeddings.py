"""Linear probe: how well E(S) tells the machine's coordinates, initially and pretrained (R²)."""

import tempfile
from pathlib import Path
from typing import Annotated

import pandas as pd

from pipeline.config.schema import EnvironmentConfig, FeaturesConfig
from pipeline.features import encoders, linear_probe
from pipeline.features.prompts import Prompts
from pipeline.io.artefact import Artefact
from pipeline.io.atomic import replacing
from pipeline.stages import Input, Output, execute
from pipeline.vision.detectors import open_regions


def probe_embeddings(
    *,
    features: FeaturesConfig,
    environment: EnvironmentConfig,
    encoder: Input,
    regions: Input,
    frames: Input,
    prompts: Input,
    published: Annotated[Input | None, "folder of retrieve with the initial weights"] = None,
    probe: Output,
) -> None:
    """Load, probe, write."""
    config, sentences = features.encoder, Prompts.read(prompts).sentences
    seen = Artefact(frames, "frames")
    found = open_regions(regions, seen)
    with tempfile.TemporaryDirectory() as folder:
        encoders.create(config, found.shape("features")[-1], sentences, Path(folder), published)
        before = encoders.load(config, Path(folder))
    compared = {"initial_r2": before, "pretrained_r2": encoders.load(config, encoder)}
    read = sentences, seen, found, environment.state_variables, features.precision
    rows = {name: linear_probe.coordinates(each, *read) for name, each in compared.items()}
    table = pd.DataFrame(rows, dtype=float).rename_axis("variable").round(4)
    with replacing(probe) as temporary:
        table.to_csv(temporary, encoding="utf-8")


if __name__ == "__main__":
    execute(probe_embeddings)
