"""Stages that put together what many runs have, where the configuration has no such run."""

from pathlib import Path

import pytest
from command_line import words

from pipeline.stages import execute
from pipeline.stages._signature import Stage
from pipeline.stages.compare_predictions import compare_predictions
from pipeline.stages.plan import plan
from pipeline.stages.plot_target_sweeps import plot_target_sweeps


@pytest.mark.parametrize(
    ("stage", "settings", "outputs", "expected"),
    [
        (plan, {}, (), "plan: no method in the configuration's tables reads embeddings"),
        (
            plot_target_sweeps,
            {"title": "catch"},
            ("picture",),
            "target_sweeps: no method that is told a return has a run on catch",
        ),
        (
            compare_predictions,
            {},
            ("csv", "picture"),
            "horizon_accuracy: no method in the configuration's tables predicts states",
        ),
    ],
)
def test_one_line_says_what_to_name(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stage: Stage,
    settings: dict[str, str],
    outputs: tuple[str, ...],
    expected: str,
) -> None:
    files = {name: tmp_path / name for name in outputs}
    with pytest.raises(SystemExit):
        execute(stage, words(**settings, **files))
    line = capsys.readouterr().err
    assert expected in line
    assert "; name one, such as " in line
    assert line.count("\n") == 1
