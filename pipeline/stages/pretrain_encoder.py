"""Initialise the configured encoder and pretrain it on the frames and prompts at hand."""

from typing import Annotated

from pipeline.config.schema import EnvironmentConfig, FeaturesConfig
from pipeline.data.trajectories import load
from pipeline.environments import make
from pipeline.features import encoders
from pipeline.features.feature_cache import distinct_pairs
from pipeline.features.prompts import Prompts
from pipeline.io.artefact import Artefact
from pipeline.io.atomic import replacing, replacing_folder
from pipeline.stages import Input, Lower, Output, execute
from pipeline.stages._device import Device
from pipeline.vision.detectors import open_regions


def pretrain_encoder(
    *,
    features: Annotated[FeaturesConfig, Lower("encoder.pretraining_batch")],
    environment: EnvironmentConfig,
    regions: Input,
    frames: Input,
    prompts: Input,
    trajectories: Input,
    published: Annotated[Input | None, "folder of retrieve with the initial weights"] = None,
    encoder: Annotated[Output, "folder"],
    curve: Annotated[Output, "CSV of the losses"],
    device: Device = "cpu",
) -> None:
    """Load, pretrain, write."""
    actions, texts = make(environment).actions, Prompts.read(prompts)
    seen, data = Artefact(frames, "frames"), load(trajectories)
    found = open_regions(regions, seen)
    pairs = distinct_pairs(features, data, seen.read("step_frame"), texts, actions)
    config, size, sentences = features.encoder, found.shape("features")[-1], texts.sentences
    with replacing_folder(encoder) as folder, replacing(curve) as losses:
        encoders.create(config, size, sentences, folder, published)
        read = found, sentences, (pairs.frame, pairs.prompt)
        rows = encoders.pretrain(config, folder, *read, device)
        rows.to_csv(losses, index=False, encoding="utf-8")


if __name__ == "__main__":
    execute(pretrain_encoder)
