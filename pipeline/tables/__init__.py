"""Tables: one file per table, each with `build(scores, table, environments, scale) -> Table`.

What tables share is here: the columns of a tidy table, a row from the scores of one method on one
game, and Markdown. A figure is never typed in; every cell comes from `scores`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import plugins, statistics
from pipeline.config import EnvironmentConfig, TableConfig
from pipeline.errors import PipelineError

COLUMNS = (
    *("table", "dataset", "method", "variant", "seeds", "episodes"),
    *("mean", "std", "ci_low", "ci_high", "iqm", "normalized_mean", "normalized_std"),
    *("random_score", "data_mean", "scale", "weights", "data_source", "sampling", "versions"),
)

PRINTED = {
    "random": "Random",
    "behaviour_cloning": "BC",
    "decision_transformer": "DT",
    "more3s": "MORE-3S",
}
"""How the literature writes a method's name; any other is printed as it is configured."""


@dataclass(frozen=True)
class Table:
    """A table as a machine reads it, and as a person does."""

    rows: pd.DataFrame
    """One row per (dataset, method, variant), columns COLUMNS."""
    markdown: str

    def csv(self) -> str:
        """The rows as they are kept, with four decimals."""
        return self.rows.to_csv(index=False, float_format="%.4f")


def environments(settings: Mapping[str, object]) -> dict[str, EnvironmentConfig]:
    """The environment of each data set, from plain settings; PipelineError naming a wrong key."""
    return {name: EnvironmentConfig.from_json(json.dumps(part)) for name, part in settings.items()}


def make(
    name: str,
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
) -> Table:
    """Build the table that `name` names; `environments` by data set.

    Raises PipelineError for an unknown table, and for a run of its grid that `scores` lacks.
    """
    made: Table = plugins.load("tables", name).build(scores, table, environments, scale)
    return made


def summarise(
    name: str,
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
) -> pd.DataFrame:
    """One row per data set, method and variant of `table`, random first in each data set."""
    grid = [("random", "default"), *((m, v) for m in table.methods for v in table.variants)]
    rows = []
    for dataset in table.datasets:
        random_score = statistics.mean(returns(scores, table, dataset, "random", "default"))
        for method, variant in grid:
            row = _row(scores, table, dataset, method, variant, environments[dataset])
            row |= {"table": name, "scale": scale, "random_score": random_score}
            rows.append(row)
    return pd.DataFrame(rows)[list(COLUMNS)]


def returns(
    scores: pd.DataFrame, table: TableConfig, dataset: str, method: str, variant: str
) -> list[NDArray[np.float64]]:
    """Episode returns of a row, one array per seed of `table`; PipelineError if one is absent."""
    episodes = select(scores, dataset, method, variant)
    per_seed: list[NDArray[np.float64]] = []
    for seed in table.seeds:
        chosen = episodes.loc[episodes["seed"] == seed, "return"].to_numpy(dtype=np.float64)
        if chosen.size == 0:
            run = f"{dataset}/{method}/{variant}/seed-{seed}"
            raise PipelineError(f"the scores have no episode of {run}; gather them again")
        per_seed.append(chosen)
    return per_seed


def select(scores: pd.DataFrame, dataset: str, method: str, variant: str) -> pd.DataFrame:
    """The scores of one method in one variant on one data set."""
    chosen = (scores["dataset"] == dataset) & (scores["method"] == method)
    return scores[chosen & (scores["variant"] == variant)]


def repeated_episodes(scores: pd.DataFrame, table: TableConfig) -> list[str]:
    """A warning for each row some of whose episodes are alike: they count as fewer than they look.

    In a deterministic emulator two episodes with the same return and length are most likely the
    same episode, so that the effective sample size is the number of distinct ones.
    """
    grid = [("random", "default"), *((m, v) for m in table.methods for v in table.variants)]
    warnings = []
    for dataset in table.datasets:
        for method, variant in grid:
            episodes = select(scores, dataset, method, variant)
            episodes = episodes[episodes["seed"].isin(table.seeds)]
            distinct = len(episodes[["return", "length"]].drop_duplicates())
            if distinct < len(episodes):
                warnings.append(
                    f"{dataset}, {printed(method, variant)}: {len(episodes)} episodes with only "
                    f"{distinct} distinct pairs of return and length"
                )
    return warnings


def printed(method: str, variant: str = "default") -> str:
    """A row's name in a table for people."""
    label = PRINTED.get(method, method)
    return label if variant == "default" else f"{label} ({variant.replace('_', ' ')})"


def markdown_grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(value: float, digits: int = 1) -> str:
    """A number for people: one decimal, none from 1000 on, `n/a` for NaN."""
    if np.isnan(value):
        return "n/a"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}f}"


def plus_minus(mean: float, deviation: float) -> str:
    """Mean ± standard deviation, or the mean alone with a single seed."""
    return figure(mean) if np.isnan(deviation) else f"{figure(mean)} ± {figure(deviation)}"


def listing(values: Iterable[object]) -> str:
    """The distinct values in order of appearance, as one text."""
    return "; ".join(dict.fromkeys(str(value) for value in values))


def _row(
    scores: pd.DataFrame,
    table: TableConfig,
    dataset: str,
    method: str,
    variant: str,
    environment: EnvironmentConfig,
) -> dict[str, object]:
    per_seed = returns(scores, table, dataset, method, variant)
    low, high = statistics.confidence_interval(per_seed)
    ends = environment.random_score, environment.reference_score
    normalized = [statistics.normalize(episodes, *ends) for episodes in per_seed]
    episodes = select(scores, dataset, method, variant)
    row: dict[str, object] = {"dataset": dataset, "method": method, "variant": variant}
    row |= {"seeds": len(per_seed), "episodes": sum(len(seed) for seed in per_seed)}
    row |= {"mean": statistics.mean(per_seed), "std": statistics.deviation(per_seed)}
    row |= {"ci_low": low, "ci_high": high, "iqm": statistics.interquartile_mean(per_seed)}
    row |= {"normalized_mean": statistics.mean(normalized)}
    row |= {"normalized_std": statistics.deviation(normalized)}
    row |= {"data_mean": float(episodes["data_mean"].iloc[0])}
    texts = ("weights", "data_source", "sampling", "versions")
    return row | {text: listing(episodes[text]) for text in texts}
