"""The runs of all tables as one table, a row per table and run, which the workflow's rules query.

It does not use pandas: with it, and Snakemake's `lookup` that needs it, a dry run would take a
fifth longer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from pipeline.config.experiment import Config
from pipeline.config.schema import MethodConfig
from pipeline.errors import PipelineError

FROM_CACHE = frozenset({"embeddings", "embeddings_and_states"})
"""Kinds of observation that are read from the feature cache."""
REGIONS_DEPEND_ON = ("detector",)
ENCODER_DEPENDS_ON = ("detector", "prompt_set", "encoder", "pairing")
"""Which sections of the features an artefact of stage one depends on. Features that differ from
others elsewhere share it with them.
"""
RANDOM = ("random", "default")
"""The pseudo-method that every table begins with, and its variant."""


@dataclass(frozen=True)
class Run:
    """One run of a table, and what it is made from."""

    table: str
    dataset: str
    method: str
    variant: str
    seed: int
    trained: bool = False
    """False for random play, of which the rest says nothing."""
    trained_as: str | None = None
    """The variant whose training it shares: its own, or `default` where they play differently."""
    checkpoints: bool = False
    """Whether its checkpoints before the last are played for the table."""
    priced: bool = False
    """Whether the cost of its decisions is told beside its score, since its table asks for that."""
    timed: bool = False
    """Whether they are timed: those of the first seed that is priced."""
    predicting: bool = False
    """Whether it is asked how far ahead its model is right: it is shown, and has one."""
    shown: bool = False
    """Whether the report shows it: of each method on a data set the first variant and seed."""
    swept: bool = False
    """Whether it is shown and has a target return to sweep."""
    choosing_seed: int | None = None
    """Of the policy that temperature and epsilon are chosen with, if they are."""
    attends: bool = False
    """Whether it has a transformer, whose attention can be drawn."""
    observation: str | None = None
    """What it observes: a module of `pipeline/observations/`."""
    features: str | None = None
    """Those that it reads, if it reads the cache; so the next two."""
    regions: str | None = None
    """The features whose regions those use."""
    encoder: str | None = None
    """The features whose encoder those use."""
    language_model: str | None = None
    """The one, pretrained here, that its policy begins with."""

    @property
    def from_cache(self) -> bool:
        """Whether it reads the feature cache."""
        return self.observation in FROM_CACHE

    @property
    def chooses(self) -> bool:
        """Whether temperature and epsilon are chosen by play."""
        return self.choosing_seed is not None

    @property
    def place(self) -> dict[str, str | int]:
        """What tells it from other runs: the wildcards of its files."""
        keys = ("dataset", "method", "variant", "seed")
        return {key: getattr(self, key) for key in keys}


class Runs(tuple[Run, ...]):
    """Rows that can be asked for by their columns."""

    def where(self, **values: object) -> "Runs":
        """The rows that have all these values in the columns of these names."""
        return Runs(
            run for run in self if all(getattr(run, key) == value for key, value in values.items())
        )

    @property
    def places(self) -> list[dict[str, str | int]]:
        """Data set, method, variant and seed of every run, each once, in order."""
        return list({tuple(run.place.values()): run.place for run in self}.values())


def runs_of(config: Config) -> Runs:
    """Every run of every table: by table, data set, random play and then the rows, seed."""
    shown: set[tuple[str, str]] = set()
    timed: set[tuple[str, str, str]] = set()
    rows = []
    for table, place in _grid(config):
        if place[1:3] == RANDOM:
            rows.append(Run(table, *place))
            continue
        first, settings = place[:2] not in shown, config.method(*place[1:3], place[0])
        shown.add(place[:2])
        priced = config.tables[table].timed
        timing = priced and place[:3] not in timed
        timed |= {place[:3]} if timing else set()
        evaluation = settings.evaluation
        if evaluation.choose_from and place[3] == evaluation.choosing_seed:
            raise PipelineError(
                f"tables.{table}.seeds: {place[3]} is evaluation.choosing_seed, with which a rule "
                "for actions is chosen; a table reports other seeds"
            )
        rows.append(
            Run(
                table,
                *place,
                trained=True,
                trained_as=config.trained_as(*place[1:3], place[0]),
                checkpoints=config.tables[table].checkpoints,
                priced=priced,
                timed=timing,
                predicting=first and settings.policy.predicts,
                shown=first,
                choosing_seed=evaluation.choosing_seed if evaluation.choose_from else None,
                swept=first and settings.policy.uses_returns,
                attends=settings.policy.attends,
                **_made_from(config, settings),
            )
        )
    return Runs(rows)


def _grid(config: Config) -> Iterator[tuple[str, tuple[str, str, str, int]]]:
    """The table of each run, and its data set, method, variant and seed."""
    for name, table in config.tables.items():
        for dataset, row, seed in product(table.datasets, (RANDOM, *table.rows), table.seeds):
            yield name, (dataset, *row, seed)


def _made_from(config: Config, settings: MethodConfig) -> dict[str, Any]:
    """Columns that a run's settings say."""
    observation, name = settings.policy.observed, settings.language_model
    made: dict[str, Any] = {"observation": observation}
    if observation in FROM_CACHE:
        made["features"] = settings.features
        made["regions"] = config.shared(settings.features, *REGIONS_DEPEND_ON)
        made["encoder"] = config.shared(settings.features, *ENCODER_DEPENDS_ON)
    if name is not None and settings.policy.from_language_model:
        made["language_model"] = None if config.language_models[name].published else name
    return made
