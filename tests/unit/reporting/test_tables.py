"""A table from fixed scores equals the expected CSV and reads as it should."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import words
from matplotlib.figure import Figure

from pipeline.config.load import load
from pipeline.config.schema import EnvironmentConfig, TableConfig
from pipeline.errors import PipelineError
from pipeline.reporting import tables
from pipeline.reporting.figures.learning_curves import plot
from pipeline.reporting.formatting import figure, interval, plus_minus
from pipeline.reporting.scores import Run
from pipeline.reporting.trainings import join, read_curve
from pipeline.stages import execute
from pipeline.stages.tabulate import tabulate

ENVIRONMENTS = {
    "breakout": EnvironmentConfig(
        family="atari", game="Breakout", random_score=2, reference_score=30
    ),
    "pong": EnvironmentConfig(family="atari", game="Pong", random_score=-21, reference_score=15),
}
ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "resources" / "published_scores.csv"
GRID = TableConfig(
    title="Table 1",
    normalised="Gamer-normalised score: 0 is random play and 100 a human gamer, both from the "
    "literature.",
    datasets=["breakout", "pong"],
    methods=["more3s", "my_method"],
    seeds=[0, 1],
)
EXPECTED = """\
table,dataset,method,variant,seeds,episodes,updates,windows,environment_steps,mean,std,\
ci_low,ci_high,iqm,normalized_mean,normalized_std,best_mean,random_score,data_mean,observation,\
scale,weights,data_source,sampling,versions
table1,breakout,random,default,2,8,0.0000,0.0000,0.0000,1.0000,0.0000,1.0000,1.0000,1.0000,\
-3.5714,0.0000,,1.0000,51.0000,,laptop,none,recorded,uniform,ale-py 1
table1,breakout,more3s,default,2,8,100.0000,800.0000,3200.0000,25.0000,7.0711,-20.8409,70.8409,\
25.0000,82.1429,25.2538,,1.0000,51.0000,embeddings,laptop,trained here,recorded,\
temperature 0.5,ale-py 1
table1,breakout,my_method,default,2,8,100.0000,800.0000,3200.0000,4.0000,1.4142,-5.1682,13.1682,\
4.0000,7.1429,5.0508,,1.0000,51.0000,embeddings,laptop,trained here,recorded,\
temperature 0.5,ale-py 1
table1,pong,random,default,2,8,0.0000,0.0000,0.0000,-20.5000,0.0000,-20.5000,-20.5000,-20.5000,\
1.3889,0.0000,,-20.5000,9.5000,,laptop,none,recorded,uniform,ale-py 1
table1,pong,more3s,default,2,8,100.0000,800.0000,3200.0000,3.0000,0.0000,3.0000,3.0000,3.0000,\
66.6667,0.0000,,-20.5000,9.5000,embeddings,laptop,trained here,recorded,\
temperature 0.5,ale-py 1
table1,pong,my_method,default,2,8,100.0000,800.0000,3200.0000,13.0000,0.0000,13.0000,13.0000,\
13.0000,94.4444,0.0000,,-20.5000,9.5000,embeddings,laptop,trained here,recorded,\
temperature 0.5,ale-py 1
"""


def build(scores: pd.DataFrame) -> tables.Table:
    return tables.make("table1", scores, GRID, ENVIRONMENTS, "laptop")


def test_table1_from_fixed_scores(scores: pd.DataFrame, tmp_path: Path) -> None:
    scores.to_csv(tmp_path / "scores.csv", index=False)
    environments = {name: item.model_dump() for name, item in ENVIRONMENTS.items()}
    told = words(
        name="table1",
        table=GRID.as_json(),
        environments=json.dumps(environments),
        scale="laptop",
        scores=tmp_path / "scores.csv",
        published=PUBLISHED,
        csv=tmp_path / "table1.csv",
        across=tmp_path / "across.csv",
        markdown=tmp_path / "table1.md",
    )
    execute(tabulate, told)
    assert (tmp_path / "table1.csv").read_text() == EXPECTED
    written = (tmp_path / "table1.md").read_text()
    assert written.startswith(build(scores).markdown)
    assert "| breakout | 211.1 |" in written  # published: CQL
    assert "qbert" not in written
    told[told.index("--name") + 1] = "freeway"
    execute(tabulate, told)
    assert "Published" not in (tmp_path / "table1.md").read_text()
    told[told.index("--table") + 1] = GRID.model_copy(update={"published": "table1"}).as_json()
    execute(tabulate, told)
    assert "| breakout | 211.1 |" in (tmp_path / "table1.md").read_text()


def test_columns_are_those_agreed_on() -> None:
    assert ",".join(tables.COLUMNS) == EXPECTED.splitlines()[0]


def test_markdown_reads_like_a_paper(scores: pd.DataFrame) -> None:
    lines = build(scores).markdown.splitlines()
    assert "| game | Random | MORE-3S | my_method | data mean |" in lines
    assert (
        "| breakout | 1.0 ± 0.0 [1.0, 1.0] | 25.0 ± 7.1 [-20.8, 70.8] | 4.0 ± 1.4 [-5.2, 13.2] "
        "| 51.0 |" in lines
    )
    assert (
        "| pong | -20.5 ± 0.0 [-20.5, -20.5] | 3.0 ± 0.0 [3.0, 3.0] "
        "| **13.0 ± 0.0 [13.0, 13.0]** | 9.5 |" in lines
    )
    assert "| breakout | -3.6 ± 0.0 | 82.1 ± 25.3 | 7.1 ± 5.1 |" in lines
    assert "| breakout | 0.00 | 0.48 | 0.06 | 1.00 |" in lines
    assert "| pong | 0.00 | 0.78 | **1.12** | 1.00 |" in lines
    footnote = "\n".join(line for line in lines if line.startswith("- "))
    for expected in (
        "Scale: laptop",
        "Data: recorded",
        "Weights: trained here.",
        "Sampling: temperature 0.5.",
        "2 seeds (0; 1) × 4 episodes, cut at 2000 actions.",
        "breakout 2/30, pong -21/15",
        "ale-py 1",
    ):
        assert expected in footnote
    assert "Warning" not in footnote


def test_the_budget_is_said(scores: pd.DataFrame) -> None:
    """Updates × 8 windows × 4 steps; seconds where they were measured."""
    scores.loc[scores["method"] == "more3s", "step"] = 250
    table = build(scores)
    assert "| pong | 2,000; 8,000 | 800; 3,200 |" in table.markdown
    rows = table.rows.set_index(["dataset", "method"])
    budget = rows.loc[("pong", "more3s"), ["updates", "windows", "environment_steps"]]
    assert budget.tolist() == [250, 2000, 8000]
    runs = [Run("pong", "more3s", "default", seed) for seed in (0, 1)]
    curve = pd.DataFrame({"step": [50, 100, 150, 200, 250], "held_out_accuracy": 0.5})
    known = join(scores, runs, [curve, curve], [100.0, 140.0])
    assert "| pong | 2,000; 8,000; 120 s | 800; 3,200 |" in build(known).markdown


def test_values_stand_beside_returns(scores: pd.DataFrame) -> None:
    """Only where a row has a Q; the last figures of curves, means over seeds."""
    runs = [Run("pong", "more3s", "default", seed) for seed in (0, 1)]

    def made(**columns: float) -> list[str]:
        """With 1 more in the first seed's curve, and a first row that must not count."""
        last = pd.DataFrame({"step": [50, 100], **{k: [-9.0, v] for k, v in columns.items()}})
        first = last.assign(**{name: [-9.0, value + 1] for name, value in columns.items()})
        known = join(scores, runs, [first, last], [1.0, 1.0])
        return build(known).markdown.splitlines()

    lines = made(held_out_mse=0.02, held_out_q=3.0, monte_carlo_return=4.0)
    assert "| data | row | squared error | Q recorded | return |" in lines
    assert "| pong | MORE-3S | 0.520 | 3.50 | 4.50 |" in lines
    assert "| pong | my_method |  |  |  |" in lines
    assert not any("Q recorded" in line for line in made(held_out_mse=0.02))


def test_a_row_that_is_still_learning_is_warned_of(scores: pd.DataFrame) -> None:
    """The error of the last fifth against that of the fifth before it, on the mean over seeds."""
    runs = [Run("pong", "more3s", "default", seed) for seed in (0, 1)]
    steps = [50, 100, 150, 200, 250]

    def markdown(column: str, *late: float) -> str:
        curve = pd.DataFrame({"step": steps, column: [0.1, 0.1, 0.1, *late]})
        return build(join(scores, runs, [curve, curve], [1.0, 1.0])).markdown

    for column, late in (("held_out_accuracy", (0.5, 0.6)), ("held_out_mse", (0.05, 0.04))):
        made = markdown(column, *late)
        assert "pong: still learning when training ended; the held-out error fell" in made
        assert "levelled off means less than 5%: MORE-3S 20%." in made
    for level in (
        *(markdown("held_out_accuracy", 0.5, 0.52), markdown("held_out_mse", 0.05, 0.048)),
        *(markdown("held_out_mse", 0.05, 0.06), markdown("train_loss", 0.05, 0.01)),
    ):
        assert "still learning" not in level


def test_whether_a_return_predicts_the_action_is_said(scores: pd.DataFrame) -> None:
    renamed = {"more3s": "decision_transformer", "my_method": "behaviour_cloning"}
    scores["method"] = scores["method"].replace(renamed)
    grid = GRID.model_copy(update={"methods": list(renamed.values())})

    def said(*accuracies: float) -> str:
        runs = [Run("pong", method, "default", s) for method in grid.methods for s in (0, 1)]
        curves = [pd.DataFrame({"step": [1], "held_out_accuracy": [each]}) for each in accuracies]
        known = join(scores, runs, curves, [1.0] * 4)
        return tables.make("table1", known, grid, ENVIRONMENTS, "laptop").markdown

    assert (
        "pong: the return predicts the recorded action; held-out accuracy of DT and BC, which is "
        "not told it, 0.750 and 0.650" in said(0.8, 0.7, 0.7, 0.6)
    )
    assert "pong: the return does not clearly predict" in said(0.8, 0.6, 0.7, 0.6)


def test_repeated_episodes_are_warned_of(scores: pd.DataFrame) -> None:
    pong = (scores["dataset"] == "pong") & (scores["method"] == "more3s")
    scores.loc[pong, ["return", "length"]] = [5.0, 77]
    expected = "Warning: pong: episodes with distinct pairs of return and length: MORE-3S 1 of 8."
    assert expected in build(scores).markdown


def test_who_serves_is_said_where_play_and_data_differ(scores: pd.DataFrame) -> None:
    breakout = scores["dataset"] == "breakout"
    scores.loc[breakout, "serving"] = '{"played": "served", "recorded": "not served"}'
    expected = "breakout: the game waits for FIRE; in play it is served, in the data not served."
    assert f"Warning: {expected}" in build(scores).markdown
    scores.loc[breakout, "serving"] = '{"played": "served", "recorded": "served"}'
    assert "Warning" not in build(scores).markdown


def test_episodes_that_stand_still_are_warned_of_and_cut_ones_counted(
    scores: pd.DataFrame,
) -> None:
    made = build(scores).markdown
    assert "- Episodes cut there: none." in made
    rows = scores.index[(scores["dataset"] == "pong") & (scores["method"] == "more3s")]
    scores.loc[rows[:2], "still_steps_longest"] = [74, 75]  # of 75
    scores.loc[rows[2], "still_share"] = 0.51
    scores.loc[rows[:3], "terminated"] = False
    made = build(scores).markdown
    assert "Warning: pong: episodes stand still for 5 seconds of play in a row" in made
    assert "their steps: MORE-3S 2 of 8, longest 75 steps." in made
    assert "- Episodes cut there: pong: MORE-3S 3 of 8." in made


def test_data_like_random_play_have_no_share(scores: pd.DataFrame) -> None:
    whole = build(scores)
    scores.loc[scores["dataset"] == "pong", "data_mean"] = -20.5  # as random play
    made = build(scores)
    assert "Warning: pong: the data are no better on average than random play" in made.markdown
    assert "| pong | n/a | n/a | n/a | n/a |" in made.markdown
    assert "Across games, n = 1 game × 2 seeds" in made.markdown
    assert made.across["games"].tolist() == [1, 1]
    alone = GRID.model_copy(update={"datasets": ["breakout"]})
    expected = tables.make("table1", scores, alone, ENVIRONMENTS, "laptop").across
    pd.testing.assert_frame_equal(made.across, expected)
    assert not made.across["iqm"].equals(whole.across["iqm"])
    scores["data_mean"] = -30.0
    made = build(scores)
    assert made.across[["iqm", "difference", "improvement"]].isna().all(axis=None)


def test_clipped_rewards_are_warned_of(scores: pd.DataFrame) -> None:
    pong = scores["dataset"] == "pong"
    scores.loc[pong, "data_source"] = "DQN replay Pong (0.01 of it, rewards clipped)"
    assert "Warning: pong: the data's rewards are clipped" in build(scores).markdown


def test_a_single_seed_has_no_deviation(scores: pd.DataFrame) -> None:
    grid = GRID.model_copy(update={"seeds": [0]})
    table = tables.make("table1", scores, grid, ENVIRONMENTS, "laptop")
    assert table.rows["std"].isna().all()
    expected = "| breakout | 1.0 [0.2, 1.8] | 20.0 [12.5, 27.5] | 3.0 [3.0, 3.0] | 51.0 |"
    assert expected in table.markdown
    assert "**" not in table.markdown  # an interval of one seed says nothing of others


def test_a_missing_run_is_named(scores: pd.DataFrame) -> None:
    kept = scores[~((scores["method"] == "more3s") & (scores["seed"] == 1))]
    with pytest.raises(PipelineError, match="no episode of breakout/more3s/default/seed-1"):
        build(kept)


def test_an_unknown_kind_of_table_is_named(scores: pd.DataFrame) -> None:
    grid = GRID.model_copy(update={"kind": "comparisons"})
    with pytest.raises(PipelineError, match=r"unknown table 'comparisons'.*comparison"):
        tables.make("table1", scores, grid, ENVIRONMENTS, "laptop")


def test_a_table_says_what_its_configuration_does(scores: pd.DataFrame) -> None:
    """None of it is in the code: neither its name, nor its title, nor what it claims."""
    grid = TableConfig(datasets=["pong"], methods=["more3s"], seeds=[0, 1])
    plain = tables.make("freeway", scores, grid, ENVIRONMENTS, "laptop")
    assert set(plain.rows["table"]) == set(plain.across["table"]) == {"freeway"}
    assert plain.markdown.startswith("# freeway (laptop scale)\n")
    assert "Normalised score: 0 is random play" in plain.markdown
    said = {
        "kind": "ablation",
        "title": "Width",
        "claim": "it helps.",
        "setting": "W{policy.width}",
    }
    made = tables.make("w", scores, grid.model_copy(update=said), ENVIRONMENTS, "laptop")
    assert made.markdown.startswith("# Width (laptop scale)\n")
    assert "| game | Random | W32 | data mean |" in made.markdown
    assert "The paper's claim: it helps." in made.markdown
    unnamed = grid.model_copy(update={"kind": "ablation"})
    made = tables.make("w", scores, unnamed, ENVIRONMENTS, "laptop")
    assert "| game | Random | MORE-3S | data mean |" in made.markdown
    assert "claim" not in made.markdown


def test_figures() -> None:
    assert figure(12345.6) == "12,346"
    assert figure(float("nan")) == "n/a"
    assert plus_minus(4325.0, 100.2) == "4,325 ± 100.2"
    assert interval(1.0, 2.0) == "[1.0, 2.0]"
    assert interval(float("nan"), float("nan")) == ""
    assert tables.printed("more3s", "no_memory") == "MORE-3S (no memory)"


def test_learning_curves_are_drawn(scores: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text(
        "step,held_out_accuracy,majority_accuracy,repeat_accuracy\n10,0.3,0.4,0.5\n20,0.6,0.4,0.5\n"
    )
    curve = read_curve(tmp_path / "curve.csv")
    runs = [Run(d, "more3s", "default", seed) for d in ENVIRONMENTS for seed in (0, 1)]
    pictures = [tmp_path / "first.png", tmp_path / "second.png"]
    for picture in pictures:
        plot(runs, [curve] * len(runs), scores, picture)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert np.frombuffer(pictures[0].read_bytes(), np.uint8).size > 1000
    (tmp_path / "curve.csv").write_text("step\n1\n")
    with pytest.raises(PipelineError, match=r"curve\.csv: no column 'held_out_accuracy' or 'held_"):
        read_curve(tmp_path / "curve.csv")


def test_table2_is_d4rl_normalised_and_tells_best_from_last(scores: pd.DataFrame) -> None:
    """On D4RL's own ends: its random play is 0 and its expert 100."""
    config = load(ROOT / "config" / "config.yaml")
    datasets = ["hopper_medium", "halfcheetah_medium"]
    robots = {dataset: config.environment(dataset) for dataset in datasets}
    renamed = scores.replace({"dataset": dict(zip(ENVIRONMENTS, datasets, strict=True))})
    for dataset, robot in robots.items():
        chosen = renamed["dataset"] == dataset
        renamed.loc[chosen & (renamed["method"] == "random"), "return"] = robot.random_score
        renamed.loc[chosen & (renamed["method"] == "more3s"), "return"] = robot.reference_score
    ours = renamed[(renamed["method"] == "my_method") & (renamed["seed"] == 0)]
    better = ours.assign(checkpoint="earlier", step=50, **{"return": ours["return"] + 10})
    grid = config.tables["table2"].model_copy(
        update={"datasets": datasets, **GRID.model_dump(include={"methods", "seeds"})}
        | {"variants": ["default"], "beside": []}
    )
    table = tables.make("table2", pd.concat([renamed, better]), grid, robots, "laptop")
    rows = table.rows.set_index(["dataset", "method"])
    for dataset in datasets:
        assert rows.loc[(dataset, "random"), "normalized_mean"] == pytest.approx(0)
        assert rows.loc[(dataset, "more3s"), "normalized_mean"] == pytest.approx(100)
        assert np.isnan(rows.loc[(dataset, "more3s"), "best_mean"])
        last = rows.loc[(dataset, "my_method"), "mean"]
        # seed 0 has a checkpoint that is better by 10, seed 1 has none but the last
        assert rows.loc[(dataset, "my_method"), "best_mean"] == pytest.approx(last + 5)
    assert "D4RL-normalised" in table.markdown
    assert "chosen by the score that is shown" in table.markdown
    assert rows.loc[("hopper_medium", "random"), "mean"] == pytest.approx(-20.272305)
    assert rows.loc[("halfcheetah_medium", "more3s"), "mean"] == pytest.approx(12135.0)


def test_curves_of_continuous_actions_are_drawn(scores: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text(
        "step,held_out_mse,mean_action_mse,repeat_mse\n10,0.3,0.4,0.5\n20,0.1,0.4,0.5\n"
    )
    curve = read_curve(tmp_path / "curve.csv")
    runs = [Run(d, "more3s", "default", seed) for d in ENVIRONMENTS for seed in (0, 1)]
    plot(runs, [curve] * len(runs), scores, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_a_method_that_only_play_judges_is_in_the_legend(
    scores: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside one that reads actions it has no line; where none does, training losses are drawn."""
    reading = pd.DataFrame({"step": [10, 20], "train_loss": [2.0, 1.0], "held_out_mse": [0.3, 0.1]})
    (tmp_path / "curve.csv").write_text("step,train_loss_critic,train_loss_actor\n10,1,3\n20,2,1\n")
    value = read_curve(tmp_path / "curve.csv")
    legends: list[list[str]] = []
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, *args, **options: legends.append(
            [text.get_text() for text in figure.legends[0].get_texts()]
        ),
    )
    runs = [Run("pong", method, "default", 0) for method in ("more3s", "my_method")]
    plot(runs, [reading, value], scores, tmp_path / "curves.png")
    assert legends.pop() == ["MORE-3S", "my_method (only its score tells)", "data mean"]
    plot(runs[1:], [value], scores, tmp_path / "curves.png")
    assert legends.pop() == ["my_method, critic", "my_method, actor", "data mean"]
