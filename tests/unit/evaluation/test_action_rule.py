"""How a rule for actions is chosen, and what is done with it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from policies import SPACE, TORQUES, trajectories_of

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig, EvaluationConfig
from pipeline.errors import PipelineError
from pipeline.evaluation import action_rule
from pipeline.evaluation.run import EvaluationProtocol

RULES = [{"temperature": 0.5}, {"temperature": 1}, {"temperature": 0, "epsilon": 0.02}]
EVALUATION = EvaluationConfig.model_validate({"choose_from": RULES, "episodes": 2})
CATCH = EnvironmentConfig.model_validate(
    {"family": "catch", "game": "Catch", "random_score": 0, "reference_score": 1}
)
RETURNS = {0.5: [3.0, 5.0], 1.0: [1.0, 2.0], 0.0: [4.0, 4.0]}


def choose(monkeypatch: pytest.MonkeyPatch, space: Any = SPACE) -> dict[str, Any]:
    """With a policy whose returns are decided by the temperature."""

    def played(protocol: EvaluationProtocol, loaded: Any) -> tuple[list[Any], dict[str, Any]]:
        returns = RETURNS[protocol.evaluation.temperature]
        assert protocol.evaluation.epsilon == (0 if protocol.evaluation.temperature else 0.02)
        return [SimpleNamespace(score=value) for value in returns], {}

    monkeypatch.setattr(action_rule, "play_policy", played)
    monkeypatch.setattr(environments, "action_space", lambda config: space)
    protocol = EvaluationProtocol(CATCH, EVALUATION, trajectories_of([5]), 10, seed=1000)
    return action_rule.choose(protocol, cast(Any, None))


def test_the_best_mean_is_chosen_and_of_equals_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    choice = choose(monkeypatch)
    assert choice["chosen"] == {"temperature": 0.5, "epsilon": 0, "mean_return": 4}
    action_rule.write(tmp_path / "rule.json", choice)
    evaluation, told = action_rule.read(tmp_path / "rule.json", EVALUATION)
    assert (evaluation.temperature, evaluation.epsilon) == (0.5, 0)
    assert told == "best on seed 1000 by temperature/epsilon: 0.5/0 4.0; 1/0 1.5; 0/0.02 4.0"
    monkeypatch.setitem(RETURNS, 0.0, [9.0, 9.0])
    action_rule.write(tmp_path / "rule.json", choose(monkeypatch))
    evaluation, _ = action_rule.read(tmp_path / "rule.json", EVALUATION)
    assert (evaluation.temperature, evaluation.epsilon) == (0, 0.02)


def test_what_was_not_chosen_here_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "rule.json"
    action_rule.write(path, choose(monkeypatch))
    other = EvaluationConfig.model_validate({"choose_from": RULES[1:]})
    with pytest.raises(PipelineError, match=r"rule\.json: a rule that is not of evaluation"):
        action_rule.read(path, other)
    for text in ("{", json.dumps({"chosen": {}}), json.dumps([1])):
        path.write_text(text)
        with pytest.raises(PipelineError, match=r"rule\.json: not a chosen rule"):
            action_rule.read(path, EVALUATION)


def test_continuous_actions_have_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match=r"evaluation\.choose_from: continuous actions"):
        choose(monkeypatch, TORQUES)
