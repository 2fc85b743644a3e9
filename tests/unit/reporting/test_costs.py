"""Benchmark files → a row per stage."""

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.reporting.figures import costs

HEADER = "s\th:m:s\tmax_rss\tcpu_time\n"


def job(path: Path, seconds: float, rss: str) -> Path:
    path.write_text(f"{HEADER}{seconds}\t0:00:01\t{rss}\t90\n")
    return path


def test_seconds_are_summed_and_memory_is_the_largest(tmp_path: Path) -> None:
    files = [
        *(job(tmp_path / "a", 2.5, "300.04"), job(tmp_path / "b", 0.2, "-")),
        *(job(tmp_path / "c", 4, "200"), job(tmp_path / "d", 1, "NA")),
    ]
    table = costs.summarise(["train", "shrink", "train", "train"], files)
    assert tuple(table.columns) == costs.COLUMNS
    assert table["stage"].tolist() == ["train", "shrink"]
    assert table["jobs"].tolist() == [3, 1]
    assert table["total_seconds"].tolist() == [7.5, 0.2]
    assert table["max_rss_mb"].iloc[0] == 300.0
    assert table["max_rss_mb"].isna().tolist() == [False, True]
    costs.plot(table, tmp_path / "costs.png")
    assert np.asarray(Image.open(tmp_path / "costs.png")).std() > 1
