"""The picture of a language model's curve."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.reporting.figures import perplexity


def test_perplexity_is_drawn(tmp_path: Path) -> None:
    curve = tmp_path / "curve.csv"
    curve.write_text(
        "step,train_perplexity,held_out_perplexity,learning_rate\n10,300,290,1e-3\n20,90,95,1e-3\n"
    )
    for name in ("first.png", "second.png"):
        perplexity.plot(curve, "toy", tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    assert (tmp_path / "first.png").stat().st_size > 5000
    curve.write_text("step\n1\n")
    with pytest.raises(PipelineError, match=r"curve\.csv: column 'train_perplexity' is missing"):
        perplexity.plot(curve, "toy", tmp_path / "first.png")


def test_a_curve_of_one_row_is_a_point(tmp_path: Path) -> None:
    curve, picture = tmp_path / "curve.csv", tmp_path / "curve.png"
    curve.write_text("step,train_perplexity,held_out_perplexity,learning_rate\n10,300,200,1e-3\n")
    perplexity.plot(curve, "toy", picture)
    pixels = np.asarray(Image.open(picture).convert("RGB"), dtype=int)
    left = pixels[:, : pixels.shape[1] * 3 // 4]  # without the legend
    assert (np.ptp(left, axis=2) > 100).sum() > 20, "nothing in colour"
