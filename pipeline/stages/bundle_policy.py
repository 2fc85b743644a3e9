"""Put a trained policy, all that it needs and its card into one folder that loads anywhere."""

import json
from typing import Annotated

from pipeline.evaluation import bundle as bundles
from pipeline.evaluation.episodes import read_episodes
from pipeline.reporting import policy_card
from pipeline.reporting.scores import read_run
from pipeline.stages import Input, Output, Parsed, execute
from pipeline.stages._acting import Acting


def bundle_policy(
    *,
    policy: Input,
    acting: Acting,
    name: Annotated[str, "name of the data set"],
    variant: str,
    scale: Annotated[str, "label printed in the card"],
    licences: Annotated[
        dict[str, str], Parsed(json.loads), "JSON: published weights → their licence"
    ],
    episodes: Annotated[Input, "CSV of evaluate_policy"],
    run: Annotated[Input, "JSON of evaluate_policy"],
    bundle: Output,
) -> None:
    """Load, describe, write."""
    loaded, described = acting.load(policy), read_run(run)
    content = bundles.describe(
        loaded,
        acting.protocol(acting.evaluation),
        acting.method,
        dataset=name,
        variant=variant,
        scale=scale,
        features=acting.features,
        returns=read_episodes(episodes)["return"].tolist(),
        told={key: described[key] for key in bundles.TOLD},
        licences=licences,
    )
    parameters = sum(each.numel() for each in loaded.policy.parameters())
    card = policy_card.write(content, parameters, acting.dataset.source)
    parts = bundles.Parts(policy, acting.encoder, acting.prompts, acting.detector_weights)
    bundles.write(bundle, content, parts, card)


if __name__ == "__main__":
    execute(bundle_policy)
