"""Count a data set's frames and pairs, and time a few batches of detection and encoding."""

from typing import Annotated

from pipeline.config.schema import EnvironmentConfig, FeaturesConfig
from pipeline.data.trajectories import load
from pipeline.environments import make
from pipeline.features import cost_estimate, feature_cache
from pipeline.features.prompts import Prompts
from pipeline.io.artefact import Artefact
from pipeline.io.atomic import replacing
from pipeline.stages import Input, Lower, Output, execute
from pipeline.stages._device import Device
from pipeline.vision import detectors


def estimate_costs(
    *,
    features: Annotated[FeaturesConfig, Lower("encoding_batch")],
    environment: EnvironmentConfig,
    dataset: Annotated[str, "name of the data set"],
    features_name: Annotated[str, "name of the features"],
    regions_name: Annotated[str, "name of the features whose regions these use"],
    frames: Input,
    prompts: Input,
    trajectories: Input,
    detector_weights: Annotated[
        Input | None, "folder of retrieve, if the detector has published weights"
    ] = None,
    published: Annotated[Input | None, "weights that the encoder begins with"] = None,
    estimate: Output,
    device: Device = "cpu",
) -> None:
    """Load, probe, write."""
    actions, texts = make(environment).actions, Prompts.read(prompts)
    seen, data = Artefact(frames, "frames"), load(trajectories)
    pairs = feature_cache.distinct_pairs(features, data, seen.read("step_frame"), texts, actions)
    detector = detectors.make(features.detector, device, detector_weights)
    found = cost_estimate.estimate(features, detector, seen, pairs, texts, device, published)
    names = {"dataset": dataset, "features": features_name, "regions": regions_name}
    with replacing(estimate) as temporary:
        row = cost_estimate.as_row(found, **names, storage=features.storage)
        row.to_csv(temporary, index=False, encoding="utf-8")


if __name__ == "__main__":
    execute(estimate_costs)
