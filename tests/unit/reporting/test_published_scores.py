"""Published scores: every one with a source, and only under the table that they belong to."""

import re
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.reporting import published_scores

SHIPPED = Path(__file__).parents[3] / "resources" / "published_scores.csv"


def test_shipped_scores_are_whole() -> None:
    published = published_scores.read(SHIPPED)
    assert not published.duplicated(["table", "dataset", "method", "unit"]).any()
    assert "MORE-3S" not in set(published["method"])  # none of its cells is known


def test_a_section_names_each_source_and_only_the_table_s_data_sets() -> None:
    text = published_scores.section(published_scores.read(SHIPPED), "table2", ["hopper_medium"])
    assert "| method | hopper-medium |\n| --- | ---: |\n| DT | 67.6 ± 1.0 |\n| CQL | 58.0 |" in text
    assert "halfcheetah" not in text
    assert "DT, BEAR, BRAC-v, AWR, BC: Decision Transformer paper Table 2." in text
    assert "CQL: Decision Transformer paper Table 2 (as on D4RL v0;" in text
    assert "MBOP, TT: Trajectory Transformer repository score table." in text
    assert "| hopper-medium | 2,197 | 2,257 |" in text  # DT and DT+GLU, raw returns
    assert published_scores.section(published_scores.read(SHIPPED), "table2", ["catch"]) == ""


def test_what_is_of_several_games_stands_below_whichever_are_played() -> None:
    published = published_scores.read(SHIPPED)
    for datasets, seaquest in ((["seaquest", "pong"], True), (["pong"], False)):
        text = published_scores.section(published, "games", datasets)
        assert ("| seaquest | 1,414 |" in text) is seaquest
        assert "zaxxon" not in text
        grid = text.partition("Interquartile mean of gamer-normalised scores, 100 as a gamer:")[2]
        assert grid.index("JOWA 150M, planned") < grid.index("| 15 games | 84.7 |")
    assert "15 games" not in published_scores.section(published, "table1", ["seaquest"])


@pytest.mark.parametrize(
    ("dataset", "published"),
    [
        ("hopper_medium_d4rl", ["hopper-medium"]),
        ("hopper_medium_replay_d4rl", ["hopper-medium-replay"]),
        ("hopper_mediums", []),
    ],
)
def test_a_data_set_of_another_source_has_the_same_scores(
    dataset: str, published: list[str]
) -> None:
    text = published_scores.section(published_scores.read(SHIPPED), "table2", [dataset])
    assert sorted(set(re.findall(r"^\| (hopper-\S+) ", text, re.MULTILINE))) == published


def test_a_score_without_a_source_is_refused(tmp_path: Path) -> None:
    lines = SHIPPED.read_text().splitlines()[:3]
    path = tmp_path / "published.csv"
    path.write_text("\n".join([lines[0], lines[1], lines[2].rsplit(",", 1)[0] + ","]))
    with pytest.raises(PipelineError, match=r"published\.csv, line 3: no source"):
        published_scores.read(path)
