"""Settings that only play depends on: how a method plans, searches or infers a return."""

import pytest
from configurations import CONFIG

from pipeline.config import plugins
from pipeline.config.load import load
from pipeline.config.schema import MethodConfig
from pipeline.errors import PipelineError

PLAYED = {
    "diffuser": {"planner": {"plans": 8, "warm_start": 2}},
    "elastic_dt": {"return_inference": "expectile", "optimality": 3.0, "start_every": 1},
    "jowa": {"planner": {"horizon": 2}},
    "jowa_pixels": {"planner": {"horizon": 2, "beams": 3}},
    "mbop": {"planner": {"horizon": 8, "noise": 0.2}},
    "more3s": {"planner": {"horizon": 2, "temperature": 0.5}},
    "multi_game_dt": {"return_inference": "best_of_128", "optimality": 3.0, "top_actions": 0.5},
    "tap": {"planner": {"beams": 8}},
    "trajectory_transformer": {"planner": {"horizon": 2, "beams": 4}},
    "upside_down": {"desired_horizon": 500},
}


def config_of(method: str, **policy: object) -> MethodConfig:
    return MethodConfig.model_validate({"method": method, "policy": policy})


@pytest.mark.parametrize("method", PLAYED)
def test_they_train_nothing_anew(method: str) -> None:
    plain, other = config_of(method), config_of(method, **PLAYED[method])
    assert plain != other
    assert plain.trained() == other.trained() == plain
    learned = "horizon" if method == "diffuser" else "width"  # of what it learns from
    assert config_of(method, **{learned: 16}).trained() != plain.trained()


def test_names_of_what_a_training_does_not_read_train_nothing_anew() -> None:
    """Another encoder is not trained with by what sees pixels, nor another text by what begins
    at random.
    """
    pixels, cached = config_of("decision_transformer"), config_of("more3s")
    for name in ("features", "language_model"):
        other = {name: "mine"}
        assert pixels.model_copy(update=other).trained() == pixels.trained()
    assert cached.model_copy(update={"features": "mine"}).trained() != cached.trained()
    begun = config_of("more3s", initial_weights="language_model")
    assert begun.model_copy(update={"language_model": "mine"}).trained() != begun.trained()


def test_a_training_reads_what_is_left_without_them() -> None:
    """A stage is told the settings as JSON, and checks them once more."""
    config = load(CONFIG / "config.yaml")
    one_each = {dataset.environment: name for name, dataset in config.datasets.items()}
    runs = [
        config.method(method, "default", dataset)
        for method in plugins.names("methods")
        for dataset in one_each.values()
    ]
    runs += [config_of(method, **played) for method, played in PLAYED.items()]
    runs += [config_of("mbop", members=7, planner={"trajectories": 70})]
    for trained in (run.trained() for run in runs):
        assert MethodConfig.from_json(trained.as_json()) == trained


def test_a_misspelt_one_is_named() -> None:
    with pytest.raises(PipelineError, match=r"planner.horizn"):
        MethodConfig.from_json(
            '{"method": "trajectory_transformer", "policy": {"planner": {"horizn": 2}}}'
        )


@pytest.mark.parametrize(
    ("method", "policy", "steps"),
    [
        ("more3s", {"context_length": 12}, 12),
        ("diffuser", {"horizon": 16, "return_horizon": 100}, 16),
        ("tap", {"window_codes": 4, "code_steps": 3}, 12),
        ("td3_bc", {}, 1),
    ],
)
def test_steps_that_carry_loss(method: str, policy: dict[str, object], steps: int) -> None:
    assert config_of(method, **policy).policy.learned_steps == steps
