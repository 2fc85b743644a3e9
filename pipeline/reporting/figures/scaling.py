"""Figure: what a row scores across games against the number of its policy's weights."""

from collections.abc import Mapping
from math import prod
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from safetensors import SafetensorError, safe_open

from pipeline.config.schema import TableConfig
from pipeline.errors import PipelineError
from pipeline.reporting.aggregate_metrics import Estimate, estimate
from pipeline.reporting.figures import style
from pipeline.reporting.formatting import count
from pipeline.reporting.statistics import pooled_interquartile_mean
from pipeline.reporting.tables import has_shares, printed, runs_of, settings_of

Row = tuple[str, str]
"""(method, variant)"""


def weights(policy: Path) -> int:
    """How many numbers a policy's file holds; PipelineError where it is none."""
    try:
        with safe_open(policy, "np") as file:
            return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise PipelineError(f"{policy}: not a policy ({error}); train it again") from None


def lines(
    scores: pd.DataFrame, table: TableConfig, sizes: Mapping[Row, int]
) -> dict[tuple[str, bool], list[tuple[int, Estimate]]]:
    """(method, whether it plans) → its rows by size, each with the interquartile mean of g."""
    found: dict[tuple[str, bool], list[tuple[int, Estimate]]] = {}
    for method, variant in table.rows:
        policy = settings_of(scores, table.datasets[0], method, variant)["policy"]
        planned = (policy.get("planner") or {}).get("horizon", 0) > 0
        score = estimate(runs_of(scores, table, method, variant), pooled_interquartile_mean)
        found.setdefault((method, planned), []).append((sizes[method, variant], score))
    return {key: sorted(points) for key, points in found.items()}


def plot(scores: pd.DataFrame, table: TableConfig, sizes: Mapping[Row, int], output: Path) -> None:
    """Draw a line for each method, with plans and without, with 95 % bands, as PNG."""
    drawn = lines(scores, table, sizes)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    color_of = style.colors((method, "default") for method, _ in drawn)
    for (method, planned), points in drawn.items():
        at, found = zip(*points, strict=True)
        value, low, high = zip(*found, strict=True)
        color, name = color_of[method, "default"], printed(method)
        label = f"{name}, with plans" if planned else f"{name}, without plans"
        axes.plot(at, value, "s--" if planned else "o-", color=color, label=label)
        axes.fill_between(at, low, high, color=color, alpha=0.12)
    games = sum(has_shares(scores, table, dataset) for dataset in table.datasets)
    counts = f"{count(games, 'game')} × {count(len(table.seeds), 'seed')}"
    axes.set(
        xscale="log",
        xlabel="numbers in the policy (logarithmic)",
        ylabel="interquartile mean of g",
        title=f"Score and size, {counts}",
    )
    axes.grid(alpha=0.3)
    style.legend(figure)
    style.save(figure, output)
