"""Timed decisions and scores as one table and one picture."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.evaluation.decision_columns import COLUMNS as TIMED
from pipeline.reporting import planning_cost
from pipeline.reporting.figures import planning_cost as picture
from pipeline.reporting.scores import Run

SHIPPED = Path(__file__).parents[3] / "resources" / "published_costs.csv"
TAP, DT = (Run("hopper", method, "default", 0) for method in ("tap", "decision_transformer"))


def decisions(horizons: list[int], played: int) -> pd.DataFrame:
    rows = [
        (each == played, each, True, episodes, 15, 2.0 * each / episodes + 1, each, 1000)
        for each in horizons
        for episodes in (1, 10)
    ]
    return pd.DataFrame(rows, columns=list(TIMED)).assign(host="a machine")


def scores() -> pd.DataFrame:
    settings = '{"policy": {"planner": {"beams": 4}}}'
    rows = [
        ("hopper", method, "default", seed, value, 200.0, settings)
        for method, values in (("tap", (100.0, 300.0)), ("decision_transformer", (50.0,)))
        for seed, value in enumerate(values)
    ]
    columns = ["dataset", "method", "variant", "seed", "return", "data_mean", "settings"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def rows() -> pd.DataFrame:
    measured = {TAP: decisions([6, 3, 12], played=6), DT: decisions([0], played=0)}
    return planning_cost.table(measured, scores())


def test_scores_of_all_seeds_stand_beside_what_was_played(rows: pd.DataFrame) -> None:
    assert tuple(rows.columns) == planning_cost.COLUMNS
    assert rows["horizon"].tolist() == [6, 3, 12, 0]
    assert rows["score"].fillna(-1).tolist() == [200.0, -1, -1, 50.0]
    assert rows["share_of_data"].dropna().tolist() == [1.0, 0.25]
    assert rows["score_std"].iloc[0] == pytest.approx(np.std([100, 300], ddof=1))
    assert rows["milliseconds_alone"].tolist() == [13.0, 7.0, 25.0, 1.0]
    assert rows["milliseconds_in_lockstep"].tolist() == pytest.approx([2.2, 1.6, 3.4, 1.0])
    assert rows["planner"].iloc[0] == '{"beams": 4}'


def test_the_page_names_the_machine_and_what_was_published(rows: pd.DataFrame) -> None:
    text = planning_cost.markdown(rows, planning_cost.read_published(SHIPPED))
    assert "Measured on a machine" in text
    assert "| TAP | hopper | 6 | 13.00 | 2.20 | 6 | 1,000 | 200.0 ± 141.4 | 1.00 |" in text
    for quoted in ("0.4 s", "1.3 Hz", "seconds to tens of seconds"):
        assert quoted in text


def test_it_is_drawn(rows: pd.DataFrame, tmp_path: Path) -> None:
    picture.plot(rows, planning_cost.read_published(SHIPPED), tmp_path / "cost.png")
    assert np.asarray(Image.open(tmp_path / "cost.png")).std() > 1


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"no table of the configuration is timed"):
        planning_cost.table({}, scores())
    path = tmp_path / "published.csv"
    path.write_text("\n".join([SHIPPED.read_text().splitlines()[0], "tap,x,1,1 ms,a card,"]))
    with pytest.raises(PipelineError, match=r"published\.csv, line 2: no source"):
        planning_cost.read_published(path)
    decisions([3], 3).drop(columns="horizon").to_csv(tmp_path / "decisions.csv")
    with pytest.raises(PipelineError, match=r"column 'horizon' is missing; time the decisions"):
        planning_cost.read_decisions(tmp_path / "decisions.csv")
