"""The runs of all tables as one table, a row per table and run, which the workflow's rules query.

It does not use pandas: with it, and Snakemake's `lookup` that needs it, a dry run would take a
fifth longer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from pipeline.config.experiment import Config
from pipeline.config.methods import FROM_CACHE
from pipeline.config.schema import MethodConfig

REGIONS_DEPEND_ON = ("detector",)
ENCODER_DEPENDS_ON = ("detector", "prompt_set", "encoder", "pairing")
"""Which sections of the features an artefact of stage one depends on. Features that differ from
others elsewhere share it with them.
"""
ON = "/on/"
"""Before the name of the game that a policy of several is played on, in the paths of its files."""
RANDOM = ("random", "default")
"""The pseudo-method that every table begins with, and its variant."""


@dataclass(frozen=True)
class Run:
    """One run of a table, and what it is made from."""

    table: str
    dataset: str
    """That it was trained on."""
    method: str
    variant: str
    seed: int
    played: str
    """The data set whose game it is played in: its own, or a part of one of several games."""
    on: str = ""
    """The folder, in that of its training, of what depends on the game that is played, where it
    was trained on several.
    """
    trained: bool = False
    """False for random play, of which the rest says nothing."""
    trained_as: str | None = None
    """The variant whose policy it plays, if it is trained."""
    checkpoints: bool = False
    """Whether its checkpoints before the last are played for the table."""
    priced: bool = False
    """Whether the cost of its decisions is told beside its score, since its table asks for that."""
    timed: bool = False
    """Whether they are timed: those of the first seed that is priced."""
    predicting: bool = False
    """Whether it is asked how far ahead its model is right: of each method on a data set the first
    run that has one.
    """
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
        """What tells it from other runs: its game, method, variant and seed, and where it was
        trained on several games, the data set of those.
        """
        keys = ("method", "variant", "seed")
        place = {"dataset": self.played, **{key: getattr(self, key) for key in keys}}
        return place | ({"together": self.dataset} if self.on else {})


class Runs(tuple[Run, ...]):
    """Rows that can be asked for by their columns."""

    def where(self, **values: object) -> "Runs":
        """The rows that have all these values in the columns of these names."""
        return Runs(
            run for run in self if all(getattr(run, key) == value for key, value in values.items())
        )

    @property
    def distinct(self) -> "Runs":
        """The rows without those of another table that are the same run."""
        first: dict[tuple[str | int, ...], Run] = {}
        for run in self:
            first.setdefault(tuple(run.place.values()), run)
        return Runs(first.values())

    @property
    def places(self) -> list[dict[str, str | int]]:
        """The place of every run, each once, in order."""
        return [run.place for run in self.distinct]


def runs_of(config: Config) -> Runs:
    """Every run of every table: by table, game, random play and then the rows, seed."""
    shown: set[tuple[str, str, str]] = set()
    timed: set[tuple[str, str, str]] = set()
    predicting: set[tuple[str, str]] = set()
    rows = []
    for table, place, played in _grid(config):
        dataset, method, variant, _ = place
        if (method, variant) == RANDOM:
            rows.append(Run(table, *place, played))
            continue
        settings, several = config.method(method, variant, dataset), dataset in config.together
        first = (dataset, played, method) not in shown
        shown.add((dataset, played, method))
        asked = settings.policy.can_predict and place[:2] not in predicting
        predicting |= {place[:2]} if asked else set()
        priced = config.tables[table].timed
        timing = priced and place[:3] not in timed
        timed |= {place[:3]} if timing else set()
        evaluation = settings.evaluation
        rows.append(
            Run(
                table,
                *place,
                played,
                on=f"{ON}{played}" if several else "",
                trained=True,
                trained_as=config.trained_as(*place[1:3], place[0]),
                checkpoints=config.tables[table].checkpoints,
                priced=priced,
                timed=timing,
                predicting=asked,
                shown=first,
                choosing_seed=evaluation.choosing_seed if evaluation.choose_from else None,
                swept=first and settings.policy.uses_returns and not several,
                attends=settings.policy.attends,
                **_made_from(config, settings),
            )
        )
    return Runs(rows)


def _grid(config: Config) -> Iterator[tuple[str, tuple[str, str, str, int], str]]:
    """The table of each run, its data set, method, variant and seed, and what it is played on.

    Random play is that of the game, whatever else a policy beside it was trained on.
    """
    for name, table in config.tables.items():
        for dataset in table.datasets:
            for played in config.parts(dataset):
                for row, seed in product((RANDOM, *table.rows), table.seeds):
                    trained_on = played if row == RANDOM else dataset
                    yield name, (trained_on, *row, seed), played


def _made_from(config: Config, settings: MethodConfig) -> dict[str, Any]:
    """Columns that a run's settings say."""
    observation, name = settings.policy.observed, settings.language_model
    made: dict[str, Any] = {"observation": observation}
    if settings.policy.embedded:
        made["features"] = settings.features
        made["regions"] = config.shared(settings.features, *REGIONS_DEPEND_ON)
        made["encoder"] = config.shared(settings.features, *ENCODER_DEPENDS_ON)
    if name is not None and settings.policy.from_language_model:
        made["language_model"] = None if config.language_models[name].published else name
    return made
