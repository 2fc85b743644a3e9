"""Figure: how a language model's perplexity falls."""

from pathlib import Path

from matplotlib.figure import Figure

from pipeline.io.csv import read_csv
from pipeline.reporting.figures import style

COLUMNS = ("step", "train_perplexity", "held_out_perplexity")


def plot(curve: Path, title: str, output: Path) -> None:
    """Draw the curve that `pretrain_language_model` wrote; PipelineError where a column lacks."""
    rows = read_csv(curve, COLUMNS, "pretrain it again")
    figure = Figure(figsize=(7.5, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(rows["step"], rows["train_perplexity"], label="on the training part")
    axes.plot(rows["step"], rows["held_out_perplexity"], label="on the held-out part")
    axes.set(xlabel="updates", ylabel="perplexity per token", title=title, yscale="log")
    style.legend(figure)
    style.save(figure, output)
