"""The figure of scores against sizes, from fixed scores and files of policies."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import words
from matplotlib.image import imread
from safetensors.numpy import save_file

from pipeline.config.schema import TableConfig
from pipeline.errors import PipelineError
from pipeline.reporting.figures.scaling import lines, weights
from pipeline.reporting.scores import COLUMNS
from pipeline.stages import execute
from pipeline.stages.plot_scaling import plot_scaling

VARIANTS = {"narrow": (10, 0), "narrow_planned": (10, 2), "wide": (30, 0), "wide_planned": (30, 2)}
SCORES = {"narrow": 20.0, "narrow_planned": 10.0, "wide": 60.0, "wide_planned": 90.0}
TABLE = TableConfig(
    datasets=["pong", "qbert"], methods=["jowa"], variants=[*VARIANTS], seeds=[0, 1], by_size=True
)


def scores() -> pd.DataFrame:
    """Of every run two episodes; random play scores 0 and the data 100."""
    rows = []
    for game, seed, variant in product(TABLE.datasets, TABLE.seeds, ["default", *VARIANTS]):
        learned = variant != "default"
        horizon = VARIANTS[variant][1] if learned else 0
        settings = {"policy": {"planner": {"horizon": horizon}}} if learned else {}
        run = dict.fromkeys(COLUMNS, "none") | {"dataset": game, "variant": variant, "seed": seed}
        run |= {"method": "jowa" if learned else "random", "checkpoint": "last", "data_mean": 100.0}
        run |= {"settings": json.dumps(settings), "return": SCORES.get(variant, 0.0), "length": 9}
        rows += [{**run, "episode": episode} for episode in (0, 1)]
    return pd.DataFrame(rows)


def test_a_line_with_plans_and_one_without_have_each_size() -> None:
    sizes = {("jowa", variant): size for variant, (size, _) in VARIANTS.items()}
    found = lines(scores(), TABLE, sizes)
    assert {key: [(n, round(e.value, 3)) for n, e in points] for key, points in found.items()} == {
        ("jowa", False): [(10, 0.2), (30, 0.6)],
        ("jowa", True): [(10, 0.1), (30, 0.9)],
    }


def test_the_stage_reads_sizes_from_the_policies(tmp_path: Path) -> None:
    path, picture = tmp_path / "scores.csv", tmp_path / "scaling.png"
    scores().to_csv(path, index=False)
    runs, policies = [], []
    for variant, (size, _) in VARIANTS.items():
        policies.append(tmp_path / f"{variant}.safetensors")
        save_file({"a": np.zeros((size, 2)), "b": np.zeros(size)}, policies[-1])
        runs.append({"dataset": "pong", "method": "jowa", "variant": variant, "seed": 0})
    assert weights(policies[0]) == 30
    told = {"table": TABLE.as_json(), "scores": path, "runs": json.dumps(runs)}
    execute(plot_scaling, words(**told, policies=policies, picture=picture))
    assert imread(picture).std() > 0.01
    policies[0].write_bytes(b"no policy")
    with pytest.raises(PipelineError, match=r"narrow\.safetensors: not a policy"):
        weights(policies[0])
