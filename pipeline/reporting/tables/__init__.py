"""Tables: one file per kind, each with `build(name, scores, table, environments, scale) -> Table`.

What kinds share is here: the columns of a tidy table and a row from the scores of one method on
one game; figures across games, Markdown and warnings are in the files that begin with an
underscore. A figure is never typed in; every cell comes from `scores`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import plugins
from pipeline.config.schema import EnvironmentConfig
from pipeline.config.table import TableConfig
from pipeline.errors import PipelineError
from pipeline.reporting import statistics
from pipeline.reporting.aggregate_metrics import Runs
from pipeline.reporting.method_names import printed as printed
from pipeline.reporting.scores import EARLIER, LAST
from pipeline.reporting.statistics import Scores

BUDGET = ("updates", "windows", "environment_steps")
"""What a run was trained on: updates, windows of them all, and steps that carried loss in those."""
COLUMNS = (
    *("table", "dataset", "method", "variant", "seeds", "episodes", *BUDGET),
    *("mean", "std", "ci_low", "ci_high", "iqm", "normalized_mean", "normalized_std"),
    *("best_mean", "random_score", "data_mean", "observation", "scale"),
    *("weights", "data_source", "sampling", "versions"),
)


@dataclass(frozen=True)
class Table:
    """A table as a machine reads it, and as a person does."""

    rows: pd.DataFrame
    """Tidy: one row per (dataset, method, variant), of a figure one per point of it."""
    across: pd.DataFrame
    """One row per (method, variant): figures across games, with their intervals."""
    markdown: str


def as_csv(rows: pd.DataFrame) -> str:
    """Rows as they are kept: four decimals."""
    return rows.to_csv(index=False, float_format="%.4f")


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
    """Build the table `name` of the kind that it is of; `environments` by data set.

    Raises PipelineError for an unknown kind, and for a run of its grid that `scores` lacks.
    """
    kind = plugins.load("reporting.tables", table.kind)
    made: Table = kind.build(name, scores, table, environments, scale)
    return made


def summarise(
    name: str,
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
) -> pd.DataFrame:
    """One row per data set, method and variant of `table`, random first in each data set."""
    rows = []
    for dataset in table.datasets:
        random_score = statistics.mean(returns(scores, table, dataset, "random", "default"))
        for method, variant in (("random", "default"), *table.rows):
            row = _row(scores, table, dataset, method, variant, environments[dataset])
            row |= {"table": name, "scale": scale, "random_score": random_score}
            rows.append(row)
    return pd.DataFrame(rows)[list(COLUMNS)]


def returns(
    scores: pd.DataFrame, table: TableConfig, dataset: str, method: str, variant: str
) -> Scores:
    """Episode returns of a row, one array per seed of `table`; PipelineError if one is absent."""
    episodes = select(scores, dataset, method, variant)
    per_seed = []
    for seed in table.seeds:
        chosen = episodes.loc[episodes["seed"] == seed, "return"].to_numpy(dtype=float)
        if chosen.size == 0:
            run = f"{dataset}/{method}/{variant}/seed-{seed}"
            raise PipelineError(f"the scores have no episode of {run}; gather them again")
        per_seed.append(chosen)
    return per_seed


def runs_of(scores: pd.DataFrame, table: TableConfig, method: str, variant: str) -> Runs:
    """g = (score - random) / (data mean - random) of every run of a row: (seeds,) for each of the
    games that `has_shares`.
    """
    games = [dataset for dataset in table.datasets if has_shares(scores, table, dataset)]
    return [_shares(scores, table, dataset, method, variant) for dataset in games]


def has_shares(scores: pd.DataFrame, table: TableConfig, dataset: str) -> bool:
    """Whether the data of a game are better than random play, so that g says anything there."""
    random, data_mean = _ends(scores, table, dataset)
    return data_mean > random


def select(
    scores: pd.DataFrame, dataset: str, method: str, variant: str, checkpoint: str = LAST
) -> pd.DataFrame:
    """The scores of one method in one variant on one data set, of the last checkpoint."""
    chosen = (scores["dataset"] == dataset) & (scores["method"] == method)
    chosen &= (scores["variant"] == variant) & (scores["checkpoint"] == checkpoint)
    return scores[chosen]


def settings_of(scores: pd.DataFrame, dataset: str, method: str, variant: str) -> dict[str, Any]:
    """The settings that a row's runs were made with."""
    settings: dict[str, Any] = json.loads(
        select(scores, dataset, method, variant)["settings"].iloc[0]
    )
    return settings


def trained_on(scores: pd.DataFrame, dataset: str, method: str, variant: str) -> dict[str, float]:
    """The columns BUDGET of a row's runs; 0 of what is not trained."""
    settings = settings_of(scores, dataset, method, variant)
    updates = float(select(scores, dataset, method, variant)["step"].mean())
    windows = updates * settings.get("training", {}).get("batch_size", 0)
    steps = windows * settings.get("learned_steps", 0)
    return dict(zip(BUDGET, (updates, windows, steps), strict=True))


def listing(values: Iterable[object]) -> str:
    """The distinct values in order of appearance, as one text."""
    return "; ".join(dict.fromkeys(str(value) for value in values))


def best_per_seed(
    scores: pd.DataFrame, dataset: str, method: str, variant: str
) -> "pd.Series[float] | None":
    """Per seed the mean return of its best checkpoint; None if only the last one was played."""
    earlier = select(scores, dataset, method, variant, EARLIER)
    if earlier.empty:
        return None
    played = pd.concat([earlier, select(scores, dataset, method, variant)])
    best: pd.Series[float] = played.groupby(["seed", "step"])["return"].mean().groupby("seed").max()
    return best


def _shares(
    scores: pd.DataFrame, table: TableConfig, dataset: str, method: str, variant: str
) -> NDArray[np.float64]:
    """(seeds,) g of each seed."""
    ends = _ends(scores, table, dataset)
    means = statistics.seed_means(returns(scores, table, dataset, method, variant))
    return np.array([statistics.share_of_data(mean, *ends) for mean in means])


def _ends(scores: pd.DataFrame, table: TableConfig, dataset: str) -> tuple[float, float]:
    """What g counts from: the scores of random play and of the data."""
    random = statistics.mean(returns(scores, table, dataset, "random", "default"))
    return random, float(select(scores, dataset, "random", "default")["data_mean"].iloc[0])


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
    row |= trained_on(scores, dataset, method, variant)
    row |= {"mean": statistics.mean(per_seed), "std": statistics.deviation(per_seed)}
    row |= {"ci_low": low, "ci_high": high, "iqm": statistics.interquartile_mean(per_seed)}
    row |= {"normalized_mean": statistics.mean(normalized)}
    row |= {"normalized_std": statistics.deviation(normalized)}
    best = best_per_seed(scores, dataset, method, variant)
    row |= {"best_mean": float("nan") if best is None else float(best[table.seeds].mean())}
    row |= {"data_mean": float(episodes["data_mean"].iloc[0])}
    row |= {"observation": settings_of(scores, dataset, method, variant).get("observation", "")}
    texts = ("weights", "data_source", "sampling", "versions")
    return row | {text: listing(episodes[text]) for text in texts}
