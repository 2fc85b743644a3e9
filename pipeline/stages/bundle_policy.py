"""Put a trained policy, all that it needs and its card into one folder that loads anywhere."""

import json
from typing import Annotated

from pipeline.evaluation import bundle as bundles
from pipeline.evaluation.episodes import read_episodes
from pipeline.evaluation.run import target_return
from pipeline.reporting import policy_card
from pipeline.reporting.scores import read_run
from pipeline.stages import Input, Output, Parsed, execute
from pipeline.stages._acting import Acting


def bundle_policy(
    *,
    policy: Input,
    acting: Acting,
    name: Annotated[str, "of the data set"],
    variant: str,
    scale: Annotated[str, "label printed in the card"],
    licences: Annotated[dict[str, str], Parsed(json.loads), "JSON: weights → their licence"],
    episodes: Annotated[Input, "CSV of evaluate_policy"],
    run: Annotated[Input, "JSON of evaluate_policy"],
    bundle: Output,
) -> None:
    """Load, describe, write."""
    loaded, described = acting.load(policy), read_run(run)
    protocol = acting.protocol(acting.evaluation)
    content = bundles.Bundle(
        **{"dataset": name, "variant": variant, "seed": acting.seed, "scale": scale},
        environment=acting.environment,
        method=acting.method.model_copy(update={"evaluation": acting.evaluation}),
        features=acting.features,
        max_episode_steps=protocol.max_steps,
        target_return=target_return(acting.evaluation, protocol.data),
        shown=bundles.shown_to(loaded, acting.environment),
        **{"actions": loaded.description.actions[0]["names"], "licences": licences},
        returns=read_episodes(episodes)["return"].tolist(),
        told={key: described[key] for key in bundles.TOLD},
        data=bundles.data_of(protocol.data),
    )
    size = sum(each.numel() for each in loaded.policy.parameters())
    card = policy_card.write(content, size, acting.dataset.source)
    parts = bundles.Parts(policy, acting.encoder, acting.prompts, acting.detector_weights)
    bundles.write(bundle, content, parts, card)


if __name__ == "__main__":
    execute(bundle_policy)
