"""Whether the parts of the configuration fit together: every name is one of a plug-in or a file,
and the settings of every run can be met.

Each check raises a PipelineError with file, key, cause and what is allowed.
"""

import re
from collections.abc import Callable
from itertools import product
from typing import Protocol, runtime_checkable

from pipeline.config import plugins
from pipeline.config.experiment import DIFFERENCE, Config
from pipeline.config.methods import Game, MethodSettings, settings_class
from pipeline.config.schema import (
    DatasetConfig,
    EvaluationConfig,
    MethodConfig,
    TableConfig,
)
from pipeline.config.section import SEEDS_APART, known
from pipeline.errors import PipelineError

NAME = r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,79}"
"""What a file may be called: nothing that a shell or a folder reads as more than a name."""
TAKEN = frozenset({"costs", "planning_cost", "horizon_accuracy", "README"})
"""Files in results/ that are no table's."""
OF_EVERY_SOURCE = frozenset({"environment", "source", "screen", "max_episode_steps"})
"""Keys of a data set that do not depend on its source."""
OF_FILES = frozenset(
    {"max_episodes", "max_steps", "fraction", "sha256", "expected_episodes", "expected_steps"}
)
"""Those that every source has which reads files."""
NAMING = "a name has letters, digits and . _ + - =, a letter or digit first, and 80 of them at most"
"""NAME for people."""


def check_data(config: Config, where: str) -> None:
    """Check what environments and data sets name; their files lie beside `where`."""
    folder = where.rpartition("/")[0]
    for name, environment in config.environments.items():
        file = f"{folder}/environments/{name}.yaml"
        _check_place("game", environment.game, file)
        known("environment family", environment.family, plugins.names("environments"), file)
    for name, dataset in config.datasets.items():
        file = f"{folder}/datasets/{name}.yaml"
        known("environment", dataset.environment, config.environments, file)
        known("source", dataset.source, plugins.names("data.sources"), file)
        _check_source(dataset, file)
        for recording in dataset.files:
            _check_place("file", recording, file)
    for name in config.together:
        _check_together(config, name, f"{folder}/datasets/{name}.yaml")


def _check_source(dataset: DatasetConfig, file: str) -> None:
    """Check that a data set says what its source reads, and no more."""
    source = f"source {dataset.source!r}"
    if dataset.file is None and dataset.name and not plugins.downloads(dataset.source):
        raise PipelineError(f"{file}: name: {source} downloads nothing; give a 'file' instead")
    if (reads := plugins.read_by(dataset.source)) is None:
        return
    allowed = {*reads, *OF_EVERY_SOURCE, *(OF_FILES if "file" in reads else ())}
    for key in sorted(dataset.model_fields_set - allowed):
        raise PipelineError(
            f"{file}: {key}: {source} does not read it; remove it, or choose another source"
        )
    if "file" in reads and not dataset.files:
        other = ", or give a 'name' that is downloaded" if "name" in reads else ""
        raise PipelineError(
            f"{file}: file: {source} reads one; say where below resources/ it lies{other}"
        )
    if len(dataset.files) > 1 and plugins.one_file(dataset.source):
        raise PipelineError(
            f"{file}: file: {source} reads one, and {len(dataset.files)} are named; make a data "
            "set of each"
        )
    if "episodes" in reads and not 1 <= dataset.episodes <= SEEDS_APART:
        raise PipelineError(
            f"{file}: episodes: {source} plays {dataset.episodes}; choose 1 to {SEEDS_APART:,}"
        )


def _check_together(config: Config, name: str, file: str) -> None:
    """Check what a data set of several games puts together."""
    parts = config.parts(name)
    for part in parts:
        if part in config.together:
            raise PipelineError(
                f"{file}: together: {part} puts data sets together itself; name those: "
                f"{', '.join(config.parts(part))}"
            )
        known("dataset", part, config.datasets, f"{file}: together")
    families = list(dict.fromkeys(config.environment(part).family for part in parts))
    if len(families) > 1 or plugins.continuous(families[0]):
        raise PipelineError(
            f"{file}: together: environments of {' and '.join(families)}; one policy plays games "
            "of one family with discrete actions"
        )


def check_models(config: Config, where: str) -> None:
    """Check what features and language models name, and which artefacts are accepted."""
    folder = where.rpartition("/")[0]
    for artefact in config.unverified_artefacts:
        _check_published(config, artefact, f"{where}: unverified_artefacts")
    for name, features in config.features.items():
        file = f"{folder}/features/{name.partition(DIFFERENCE)[0]}.yaml"
        known("detector", features.detector.name, plugins.names("vision.detectors"), file)
        known("encoder", features.encoder.name, plugins.names("features.encoders"), file)
        _check_heads(features.encoder, f"{file}: encoder")
        _check_published(config, features.encoder.published, f"{file}: encoder.published")
        if features.encoder.published and features.encoder.box_frequencies:
            raise PipelineError(
                f"{file}: encoder.box_frequencies is {features.encoder.box_frequencies}; published "
                "weights take the coordinates themselves, set it to 0"
            )
        place = f"{file}: detector.published"
        _check_published(config, features.detector.published, place)
        if features.detector.published and not plugins.detector_constant(
            features.detector.name, "takes_weights"
        ):
            raise PipelineError(
                f"{place}: {features.detector.name} takes no published weights; remove the key, or "
                "choose a detector that does"
            )
    for name, language_model in config.language_models.items():
        file = f"{folder}/language_models/{name}.yaml"
        known("text source", language_model.source, plugins.names("language.texts"), file)
        _check_heads(language_model, file)
        _check_published(config, language_model.published, f"{file}: published")


def check_tables(config: Config, said_by: Callable[[str], str]) -> None:
    """Check the names of every table, and the settings of all its runs; `said_by` gives the file
    that a table is in.
    """
    methods = plugins.names("methods")
    for name, table in config.tables.items():
        where = said_by(name)
        place = f"{where}: tables.{name}"
        if re.fullmatch(NAME, name) is None:
            raise PipelineError(f"{where}: tables: {name!r} cannot be a table's name; {NAMING}")
        if name in TAKEN:
            raise PipelineError(
                f"{where}: tables: {name!r} cannot be a table's name: results/{name} is a file of "
                "the workflow itself; choose another"
            )
        known("kind of table", table.kind, plugins.names("reporting.tables"), place)
        for dataset_name in table.datasets:
            known("dataset", dataset_name, [*config.datasets, *config.together], place)
        _check_parts(config, table, place)
        _check_timed(config, table, place)
        for method, variant in table.rows:
            known("method", method, methods, place)
            known("variant", variant, config.variants, place)
        for (method, variant), dataset in product(table.rows, table.datasets):
            run = f"{place}: {method}, {variant}, {dataset}"
            settings = _settings(config, (method, variant, dataset), place)
            check_several(config, dataset, method, run, settings.policy)
            _check_play(config, dataset, settings.evaluation, run)
            _check_seeds(config, table, settings, f"{run}: evaluation")
            if settings.evaluation.choose_from:
                _check_chosen_with(settings.evaluation.choosing_seed, table, place)
            known("features", settings.features, config.features, place)
            if method in table.methods:
                _check_row_name(config, table, settings, place)
            known("observation", settings.policy.observed, settings.policy.observations, run)
            _check_states(config, dataset, settings.policy, run)
            if isinstance(settings.policy, _Attending):
                _check_heads(settings.policy, f"{run}: policy")
            for name_ in settings.training.learning_rates:
                rates = f"{run}: training.learning_rates"
                known("optimiser", name_, settings.policy.optimisers, rates)
            batch, processes = settings.training.batch_size, config.hardware.processes
            if batch % processes:
                raise PipelineError(
                    f"{run}: training.batch_size: {batch} cannot be shared by {processes} "
                    "processes; make it a multiple of hardware.processes"
                )
            if settings.policy.from_language_model:
                _check_language_model(config, settings, run)
            _check_first_run(config, settings, (dataset, variant), run)
        for dataset in config.table(name).datasets:
            where = f"{place}: random play, {dataset}: evaluation"
            _check_resets(config.evaluation(dataset), max(table.seeds), where)


def _settings(config: Config, run: tuple[str, str, str], where: str) -> MethodConfig:
    """The settings of a method in a variant on a data set."""
    try:
        return config.method(*run)
    except PipelineError as error:
        raise PipelineError(f"{where}: {error}") from None


def check_several(
    config: Config, dataset: str, method: str, where: str, policy: MethodSettings | None = None
) -> None:
    """Raise a PipelineError where `dataset` is of several games and the method of one, or where the
    settings `policy` of the method, by default those that it has by itself, do not fit the games.
    """
    policy = policy or settings_class(method)()
    if dataset in config.together and not settings_class(method).several_tasks:
        several = [name for name in plugins.names("methods") if settings_class(name).several_tasks]
        raise PipelineError(
            f"{where}: {method} is trained on one game at a time; name one of "
            f"{', '.join(config.parts(dataset))}, or a method of several: {', '.join(several)}"
        )
    first, *others = config.parts(dataset)
    environment = config.environment(first)
    try:
        policy.check(
            Game(
                name=environment.game,
                continuous=plugins.continuous(environment.family),
                states="states" in policy.observed,
                embeddings=policy.embedded,
                several=bool(others),
            )
        )
    except PipelineError as error:
        raise PipelineError(f"{where}: {error}") from None


def _check_states(config: Config, dataset: str, policy: MethodSettings, where: str) -> None:
    """Check that there are state vectors where they are read."""
    for environment in map(config.environment, config.parts(dataset)):
        if "states" in policy.observed and not plugins.states(environment.family):
            others = [kind for kind in policy.observations if "states" not in kind]
            raise PipelineError(
                f"{where}: policy.observation: {policy.observed}: {environment.game} has no state "
                f"vectors; choose {' or '.join(others) or 'another method'}"
            )


def _check_parts(config: Config, table: TableConfig, place: str) -> None:
    """Check that no game is in two data sets of a table, whose rows are told apart by game."""
    rows: dict[str, str] = {}
    for dataset in table.datasets:
        for part in config.parts(dataset):
            if part in rows:
                raise PipelineError(
                    f"{place}.datasets: {part} is in {rows[part]} and in {dataset}; a table has "
                    "rows by game, so give them a table each"
                )
            rows[part] = dataset


def _check_timed(config: Config, table: TableConfig, place: str) -> None:
    """Check that decisions are timed of policies of one game only."""
    several = [dataset for dataset in table.datasets if dataset in config.together]
    if table.timed and several:
        raise PipelineError(
            f"{place}.timed: {several[0]} is of several games, and decisions are timed of policies "
            "of one game; set it to false, or name one game"
        )


def _check_seeds(config: Config, table: TableConfig, settings: MethodConfig, place: str) -> None:
    """Check that every episode of every seed has a reset seed that environments take, and of the
    seed that rules are chosen with.
    """
    played, trained, seed = settings.evaluation, settings.trained().evaluation, max(table.seeds)
    most = max(played.episodes, played.checkpoint_episodes)
    most = max(most, config.sweep.episodes, config.timing.episodes)
    checked = [("", seed, most)]
    if played.choose_from:
        checked.append((".choosing_seed", played.choosing_seed, played.choosing_episodes))
    for key, seed, episodes in checked:
        _check_resets(played.model_copy(update={"episodes": episodes}), seed, f"{place}{key}")
        _check_resets(trained, seed, f"{place}{key}")


def _check_chosen_with(seed: int, table: TableConfig, place: str) -> None:
    """Check that a table reports other seeds than the one that rules are chosen with."""
    if seed in table.seeds:
        raise PipelineError(
            f"{place}.seeds: {seed} is evaluation.choosing_seed, with which a rule for actions is "
            "chosen; a table reports other seeds"
        )


def _check_resets(evaluation: EvaluationConfig, seed: int, place: str) -> None:
    try:
        evaluation.reset_seeds(seed)
    except PipelineError as error:
        raise PipelineError(f"{place}: {error}") from None


def _check_play(config: Config, dataset: str, evaluation: EvaluationConfig, place: str) -> None:
    """Check that the games of a data set can be played so."""
    cure = "remove it, or name the family of environments that it is for in `where`"
    for family in dict.fromkeys(config.environment(part).family for part in config.parts(dataset)):
        if evaluation.sticky_actions and not plugins.sticky(family):
            raise PipelineError(
                f"{place}: evaluation.sticky_actions: {evaluation.sticky_actions:g}; {family} "
                f"repeats no action by chance; {cure}"
            )
        if evaluation.choose_from and plugins.continuous(family):
            raise PipelineError(
                f"{place}: evaluation.choose_from: continuous actions are played as they are "
                f"predicted; {cure}"
            )


def _check_row_name(config: Config, table: TableConfig, settings: MethodConfig, place: str) -> None:
    """Check that a run has the settings that its row is called by."""
    told = settings.model_dump(exclude={"features"})
    if settings.policy.embedded:
        told["features"] = config.features[settings.features].model_dump()
    elif table.kind == "pretraining":
        raise PipelineError(
            f"{place}.kind: pretraining tells of the encoder's weights, and {settings.method} "
            f"reads {settings.policy.observed}; choose another kind"
        )
    try:
        table.row_name(told)
    except PipelineError as error:
        raise PipelineError(f"{place}.setting: {error}") from None


def _check_language_model(config: Config, settings: MethodConfig, where: str) -> None:
    """Check that a policy can begin with its language model's layers."""
    if settings.language_model is None:
        raise PipelineError(
            f"{where}: policy.initial_weights is language_model, but no language_model is named; "
            f"allowed: {', '.join(sorted(config.language_models))}"
        )
    language_model, policy = config.language_models[settings.language_model], settings.policy
    for key in ("width", "layers", "heads", "activation"):
        theirs, ours = getattr(language_model, key), getattr(policy, key)
        if theirs != ours:
            raise PipelineError(
                f"{where}: policy.{key} is {ours}, language model {settings.language_model} has "
                f"{theirs}; make them equal"
            )


def _check_first_run(
    config: Config, settings: MethodConfig, place: tuple[str, str], where: str
) -> None:
    """Check that the run whose policy another begins with is one, of the same method; and so on,
    to one that begins with none.
    """
    where, begun = f"{where}: policy.initial_weights", [place]
    while (first := settings.policy.first_run) is not None:
        known("dataset", first.dataset, [*config.datasets, *config.together], where)
        known("variant", first.variant, config.variants, where)
        if first.method != settings.method:
            raise PipelineError(
                f"{where}: weights of {first.method} do not fit {settings.method}; name one of its "
                "runs"
            )
        if (run := (first.dataset, first.variant)) == begun[-1]:
            raise PipelineError(f"{where}: a run cannot begin with itself; name another")
        if run in begun:
            chain = " and ".join("/".join(each) for each in begun[begun.index(run) :])
            raise PipelineError(f"{where}: {chain} begin with each other; name another in one")
        begun.append(run)
        settings = _settings(config, (first.method, first.variant, first.dataset), where)


@runtime_checkable
class _Attending(Protocol):
    """A section that has heads of attention."""

    @property
    def width(self) -> int: ...

    @property
    def heads(self) -> int: ...


def _check_heads(section: _Attending, where: str) -> None:
    """Check that attention's heads can share the width."""
    if section.width % section.heads:
        raise PipelineError(
            f"{where}.heads: {section.heads} heads cannot share a width of {section.width}; make "
            "the width a multiple"
        )


def _check_published(config: Config, artefact: str | None, where: str) -> None:
    """Check that an artefact is one of the table of published files."""
    if artefact is not None:
        known("artefact of artefacts.csv", artefact, config.published, where)


def _check_place(key: str, value: str, where: str) -> None:
    """Check a name, or several with / between, of a file below the resources."""
    if not all(re.fullmatch(NAME, part) for part in value.split("/")):
        raise PipelineError(
            f"{where}: {key}: {value!r} is not the name of a file below the resources: parts of "
            "letters, digits and . _ + - =, with / between"
        )
