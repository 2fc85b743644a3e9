"""Encode every distinct (frame, prompt) pair with the frozen encoder into the feature cache."""

from typing import Annotated

from pipeline.config.schema import EnvironmentConfig, FeaturesConfig
from pipeline.data.trajectories import load
from pipeline.environments import make
from pipeline.features import encoders, feature_cache
from pipeline.features.prompts import Prompts
from pipeline.features.step_encoder import StepEncoder
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter
from pipeline.stages import Identity, Input, Lower, Output, OwnShard, Shards, execute
from pipeline.stages._device import Device
from pipeline.vision.detectors import open_regions


def build_cache(
    *,
    features: Annotated[FeaturesConfig, Lower("encoding_batch")],
    environment: EnvironmentConfig,
    encoder: Input,
    regions: Input,
    frames: Input,
    prompts: Input,
    trajectories: Input,
    cache: Output,
    device: Device = "cpu",
    shard: OwnShard = None,
    shards: Shards = (),
    identity: Identity,
) -> None:
    """Load, encode, write."""
    actions, texts = make(environment).actions, Prompts.read(prompts)
    seen = Artefact(frames, "frames")
    found, data = open_regions(regions, seen, memory_mb=64), load(trajectories)
    pairs = feature_cache.distinct_pairs(features, data, seen.read("step_frame"), texts, actions)
    model = encoders.load(features.encoder, encoder, device)
    encode = StepEncoder(None, model, texts.sentences, features.precision)
    attributes = {"features": features.model_dump(), "weights": features.weights}
    with PartsWriter(cache, "cache", attributes, identity(), shard) as writer:
        if shards:
            feature_cache.merge(features, pairs, texts, shards, writer)
        else:
            feature_cache.build(features, encode, found, pairs, texts, writer)


if __name__ == "__main__":
    execute(build_cache)
