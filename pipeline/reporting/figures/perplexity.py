"""Figure: how a language model's perplexity falls."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from pipeline.io.csv import read_csv
from pipeline.reporting.figures import style

COLUMNS = ("step", "train_perplexity", "held_out_perplexity")


def plot(curve: Path, title: str, output: Path) -> None:
    """Draw the curve that `pretrain_language_model` wrote; PipelineError where a column lacks.

    The axis is logarithmic, since it falls from a vocabulary's size to a handful; a curve of one
    row is a point.
    """
    rows = read_csv(curve, COLUMNS, "pretrain it again")
    figure = Figure(figsize=(7.5, 3.5), layout="constrained")
    axes = figure.subplots()
    for column, label in (("train", "training"), ("held_out", "held-out")):
        axes.plot(rows["step"], rows[f"{column}_perplexity"], ".-", label=f"on the {label} part")
    axes.set(xlabel="updates", ylabel="perplexity per token (logarithmic)", title=title)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    axes.set_ylim(low / 2, high * 2)  # so that some of 1, 2, 5, 10, … are in it
    style.legend(figure)
    style.save(figure, output)
