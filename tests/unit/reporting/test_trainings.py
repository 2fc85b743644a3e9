"""What training says of a run beside its scores."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import PipelineError
from pipeline.reporting.trainings import late_gain, read_benchmark, read_cpu_seconds

HEADER = "s\th:m:s\tmax_rss\tcpu_time\n"


def test_cpu_seconds_are_summed_over_repeats(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(f"{HEADER}2\t0:00:02\t100\t1.5\n3\t0:00:03\t100\t2.5\n")
    assert read_cpu_seconds(path) == 4
    path.write_text(f"{HEADER}0.1\t0:00:00\t-\tNA\n")
    assert np.isnan(read_cpu_seconds(path))


def test_what_is_no_benchmark_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"missing\.tsv: no such file"):
        read_benchmark(tmp_path / "missing.tsv")
    (tmp_path / "other.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(PipelineError, match=r"other\.tsv: not a benchmark file"):
        read_benchmark(tmp_path / "other.tsv")


def test_late_gain() -> None:
    steps = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    falling = pd.DataFrame({"step": steps, "held_out_mse": [*[9.0] * 6, 3, 1, 1, 2]})
    assert late_gain(falling) == pytest.approx(1 - 1.5 / 2)
    right = pd.DataFrame({"step": steps, "held_out_accuracy": [*[0.0] * 6, 0.5, 0.5, 0.8, 0.8]})
    assert late_gain(right) == pytest.approx(0.6)
    assert np.isnan(late_gain(falling[["step"]]))
    assert np.isnan(late_gain(falling[-1:]))
