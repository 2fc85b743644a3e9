"""The sections of the configuration that declare a table, and what is measured beside tables."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from pipeline.config.section import SEEDS_APART, Distinct, RunSeed, Section, distinct
from pipeline.errors import unknown_name


class TableConfig(Section):
    """One table: the grid of runs whose scores it shows, and what it says of them."""

    kind: str = Field("comparison", description="module of pipeline/reporting/tables/")
    title: str | None = Field(None, description="default: the table's name")
    claim: str | None = Field(None, description="what the paper says about this ablation")
    setting: str | None = Field(
        None,
        description="name of a row of an ablation, with settings of its run in braces, such as `K "
        "= {policy.context_length}`; default: its variant",
    )
    normalised: str = Field(
        "Normalised score: 0 is random play and 100 the reference, both from the literature.",
        description="explanation of the normalised scores of a comparison, in a sentence or two",
    )
    published: str | None = Field(
        None,
        description="the table of resources/published_scores.csv that is printed below; default: "
        "its own name",
    )
    datasets: Distinct[str] = Field(min_length=1)
    methods: Distinct[str] = Field(min_length=1)
    variants: Distinct[str] = Field(["default"], min_length=1)
    seeds: Distinct[RunSeed] = Field(min_length=1)
    beside: Distinct[str] = Field(
        [],
        description="further methods to compare with, each in its default variant, or in that of "
        "`<method>/<variant>`",
    )
    checkpoints: bool = Field(
        False, description="whether the checkpoints before the last are played as well"
    )

    by_size: bool = Field(
        False,
        description="whether `results/<table>.png` shows scores against the size of the policy",
    )

    timed: bool = Field(
        False,
        description="whether the decisions of each row are timed, for `results/planning_cost.csv`",
    )

    @model_validator(mode="after")
    def _distinct_rows(self) -> "TableConfig":
        distinct(self.rows)
        return self

    def row_name(self, settings: Mapping[str, Any]) -> str | None:
        """`setting` with a run's values in it; PipelineError for a key that the run lacks."""
        if self.setting is None:
            return None
        return re.sub(r"\{([\w.]+)\}", lambda key: str(_value(settings, key[1])), self.setting)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(method, variant) of every row that is trained, in order."""
        return [
            *((method, variant) for method in self.methods for variant in self.variants),
            *(_row(name) for name in self.beside),
        ]


def _row(name: str) -> tuple[str, str]:
    """(method, variant) of an entry of `beside`."""
    method, _, variant = name.partition("/")
    return method, variant or "default"


def _value(settings: Mapping[str, Any], path: str) -> Any:
    """What nested `settings` have at the dotted key `path`."""
    key, _, below = path.partition(".")
    if key not in settings:
        raise unknown_name("setting", key, list(settings))
    value = settings[key]
    return _value(value if isinstance(value, Mapping) else {}, below) if below else value


class SweepConfig(Section):
    """Play under several target returns, to see whether a policy does what it is asked for."""

    targets: Distinct[float] = Field(
        [0.5, 0.75, 1.0, 1.25, 1.5],
        min_length=1,
        description="target returns as multiples of the data's best episode",
    )
    episodes: int = Field(
        5,
        ge=1,
        le=SEEDS_APART,
        description="number of episodes per target, from the same starts as the first ones of the "
        "evaluation",
    )


class TimingConfig(Section):
    """How it is measured what a decision costs."""

    decisions: int = Field(15, ge=1, description="number of decisions whose median is taken")
    episodes: int = Field(
        10, ge=1, le=SEEDS_APART, description="number of episodes in lock-step, beside a single one"
    )
    horizons: Distinct[int] = Field(
        [3, 6, 12, 24], description="steps of plans that each planner is measured with besides"
    )


class OpenLoopConfig(Section):
    """How it is measured how far ahead models of states are right (`horizon_accuracy`)."""

    steps: int = Field(150, ge=1, description="H: steps that are predicted")
    starts: int = Field(
        32, ge=1, description="number of held-out starts, spread evenly over the held-out episodes"
    )
    updates: int = Field(
        3000, ge=1, description="of the one-step model that each model is compared with"
    )
    batch_size: int = Field(128, ge=1, description="of its updates")
    learning_rate: float = Field(0.001, gt=0, description="of its first update; cosine to 0")
