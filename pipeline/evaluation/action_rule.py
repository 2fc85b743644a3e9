"""How actions are chosen in play, by one procedure for every method: a policy of a seed that no
table reports is played by each of a few rules, and the best mean return decides.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import environments
from pipeline.config.schema import ActionRule, EvaluationConfig
from pipeline.errors import PipelineError
from pipeline.evaluation.run import EvaluationProtocol, LoadedPolicy, play_policy
from pipeline.io.atomic import replacing
from pipeline.io.json import parse
from pipeline.io.reading import utf8_text

AGAIN = "run choose_action_rule again"


def choose(protocol: EvaluationProtocol, loaded: LoadedPolicy) -> dict[str, Any]:
    """Play by every rule of `evaluation.choose_from`, from the same starts; which was best, and the
    mean return of each. Of equals the first.

    Raises PipelineError where actions are continuous, and a policy has no logits to choose from.
    """
    episodes = {"episodes": protocol.evaluation.choosing_episodes}
    evaluation = protocol.evaluation.model_copy(update=episodes)
    protocol = replace(protocol, evaluation=evaluation)
    if environments.action_space(protocol.environment).continuous:
        raise PipelineError(
            "evaluation.choose_from: continuous actions are played as they are predicted; name the "
            "family of environments that it is for in `where`"
        )
    tried = []
    for rule in evaluation.choose_from:
        settings = evaluation.model_copy(update=rule.model_dump())
        played, _ = play_policy(replace(protocol, evaluation=settings), loaded)
        returns = [episode.score for episode in played]
        tried.append({**rule.model_dump(), "mean_return": sum(returns) / len(returns)})
    best = max(tried, key=lambda one: float(one["mean_return"]))
    return {"chosen": best, "tried": tried, "seed": protocol.seed, **episodes}


def write(path: Path, choice: dict[str, Any]) -> None:
    """As JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(choice, indent=2) + "\n", encoding="utf-8")


def read(path: Path, evaluation: EvaluationConfig) -> tuple[EvaluationConfig, str]:
    """The evaluation by the rule that was chosen, and what a table says of the choice.

    Raises PipelineError naming the file where it is not one of `evaluation.choose_from`.
    """
    try:
        choice = parse(utf8_text(path, AGAIN))
        keys = ActionRule.model_fields
        rule = ActionRule.model_validate({key: choice["chosen"][key] for key in keys})
        told = _told(choice["tried"], choice["seed"])
    except FileNotFoundError:
        raise PipelineError(f"{path}: missing; {AGAIN}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise PipelineError(f"{path}: not a chosen rule ({error}); {AGAIN}") from None
    if rule not in evaluation.choose_from:
        raise PipelineError(f"{path}: a rule that is not of evaluation.choose_from; {AGAIN}")
    return evaluation.model_copy(update=rule.model_dump()), told


def _told(tried: Sequence[dict[str, float]], seed: int) -> str:
    """Mean returns of all rules that were tried."""
    means = "; ".join(
        f"{one['temperature']:g}/{one['epsilon']:g} {one['mean_return']:.1f}" for one in tried
    )
    return f"best on seed {seed} by temperature/epsilon: {means}"
