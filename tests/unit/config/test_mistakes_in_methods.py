"""Settings with which a method could not learn, or would play otherwise than it was trained."""

import re
from pathlib import Path

import pytest
from configurations import copied, edit, message

from pipeline.config.load import load
from pipeline.config.schema import MethodConfig
from pipeline.errors import PipelineError


@pytest.mark.parametrize(
    ("method", "policy", "expected"),
    [
        ("gato", {"context_length": 1}, "context_length: .*greater than or equal to 2"),
        ("diffuser", {"discount": 1.0}, "discount: .*less than 1"),
        (
            "more3s",
            {"action_readout": "nearest_prompt", "context_length": 1},
            "nearest_prompt learns from the next embedding alone",
        ),
        (
            "more3s",
            {"action_readout": "nearest_prompt", "embedding_loss_weight": 0.0},
            "nearest_prompt learns from the next embedding alone",
        ),
    ],
)
def test_mistakes(method: str, policy: dict[str, object], expected: str) -> None:
    text = MethodConfig.model_construct(method=method).model_copy(update={"policy": policy})
    with pytest.raises(PipelineError, match=expected):
        MethodConfig.from_json(text.model_dump_json(include={"method", "policy"}, warnings=False))


def test_a_rate_of_an_optimiser_that_a_method_does_not_have(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    rates = {"training": {"learning_rates": {"vaule": 0.001}}}
    edit(folder / "config.yaml", settings=[{"where": {"method": "jowa"}, **rates}])
    expected = (
        r"tables.\w+: jowa, default, \w+: training.learning_rates: unknown optimiser 'vaule' "
        r"\(did you mean 'value'\?\); allowed: policy, value"
    )
    with pytest.raises(PipelineError, match=expected):
        load(folder / "config.yaml")


def test_a_variant_is_for_the_methods_of_its_tables(tmp_path: Path) -> None:
    """Where none is named, one that takes the value is enough; a table names those that run."""
    folder = copied(tmp_path)
    one_step = {"policy": {"context_length": 1}}
    edit(folder / "variants" / "one_step.yaml", **one_step)
    table = {"datasets": ["pong"], "methods": ["behaviour_cloning"], "seeds": [0]}
    edit(folder / "config.yaml", tables={"t": {**table, "variants": ["default", "one_step"]}})
    config = load(folder / "config.yaml")
    assert config.method("behaviour_cloning", "one_step").policy.context_length == 1
    edit(folder / "config.yaml", tables={"t": {"methods": ["jowa"]}})
    assert message(folder / "config.yaml") == (
        "config/config.yaml: tables.t: method jowa, variant one_step, pong: policy.context_length: "
        "Input should be greater than or equal to 2"
    )
    edit(folder / "variants" / "one_step.yaml", policy={"context_length": 0})
    assert re.search(
        r"^config/variants/one_step.yaml: policy.context_length: .* or equal to 1 \(method \w+\)$",
        message(folder / "config.yaml"),
    )


def test_a_method_that_is_named_takes_what_is_said(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    where = {"method": ["behaviour_cloning", "jowa"]}
    edit(folder / "config.yaml", settings=[{"where": where, "policy": {"context_length": 1}}])
    assert re.search(
        r"settings\[0\]: policy.context_length: .* or equal to 2 \(method jowa\)$",
        message(folder / "config.yaml"),
    )
