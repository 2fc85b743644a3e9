"""Settings with which a method could not learn, or would play otherwise than it was trained."""

from pathlib import Path

import pytest
from configurations import copied, edit

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
