"""The whole experiment: the configuration with everything that it names, and the settings of each
run.

A run's settings are merged from the entries of the list `settings` that apply to it, later ones
over earlier ones; its variant comes last. `features` is a name, or a mapping of what differs from
the features named before. Such features are named after the difference, so that all runs with the
same difference share their caches.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pipeline.config.methods import own
from pipeline.config.published import Published
from pipeline.config.schema import (
    DatasetConfig,
    EnvironmentConfig,
    EvaluationConfig,
    FeaturesConfig,
    HardwareConfig,
    LanguageModelConfig,
    MethodConfig,
    OpenLoopConfig,
    Section,
    SweepConfig,
    TableConfig,
    TimingConfig,
    TogetherConfig,
)
from pipeline.config.section import known, merge, validate

Names = Annotated[
    list[str],
    Field(min_length=1),
    BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
]
"""One name, or a list of names."""
LONGEST_NAME = 120
"""Characters of a name, which becomes that of files; a file system takes 255 with all endings."""
DIFFERENCE = "-"
"""Between the name of a features file and each difference from it."""


class Where(Section):
    """Which runs an entry of the settings is for: those of which all that is said here is true."""

    family: Names | None = Field(None, description="modules of pipeline/environments/")
    environment: Names | None = Field(
        None, description="files of config/environments/; a run of several games has none"
    )
    dataset: Names | None = Field(None, description="files of config/datasets/")
    method: Names | None = Field(None, description="modules of pipeline/methods/")

    def holds(self, run: Mapping[str, str]) -> bool:
        """Whether `run`, which may lack some of these keys, has one of the names of every key."""
        # Without the model's own iterator: a configuration asks this fifty thousand times.
        return all(names is None or run.get(key) in names for key, names in vars(self).items())


class Entry(Section):
    """One entry of the list: in the file, `where` stands beside the settings."""

    where: Where = Where()
    settings: dict[str, Any] = Field(description="any key of MethodConfig except its name")


class Config(Section):
    """`config/config.yaml` with the files below `config/` read in by name."""

    scale: str = Field(description="label printed in every table: laptop, toy or paper")
    settings: list[Entry] = Field(
        default=[], description="settings of the runs; later entries override earlier ones"
    )
    tables: dict[str, TableConfig]
    serve: bool | None = Field(None, description="replaces the key `serve` of every environment")
    sweep: SweepConfig = SweepConfig()
    timing: TimingConfig = TimingConfig()
    open_loop: OpenLoopConfig = OpenLoopConfig()
    hardware: HardwareConfig = HardwareConfig()
    environments: dict[str, EnvironmentConfig]
    datasets: dict[str, DatasetConfig]
    together: dict[str, TogetherConfig] = Field(
        default={}, description="data sets of several games; read from datasets/"
    )
    features: dict[str, FeaturesConfig]
    language_models: dict[str, LanguageModelConfig]
    variants: dict[str, dict[str, Any]] = Field(
        description="variant → what it changes in the settings"
    )
    published: dict[str, Published] = Field(
        default={},
        description="published files that can be retrieved, by name; read from artefacts.csv",
    )
    artefacts_dir: str | None = Field(
        None,
        description="folder with published files, in one folder per artefact; if it is given, "
        "nothing is downloaded",
    )
    unverified_artefacts: list[str] = Field(
        [], description="artefacts that are accepted although a file has no known checksum"
    )

    def method(
        self, method: str, variant: str = "default", dataset: str | None = None
    ) -> MethodConfig:
        """Settings of one run, merged key by key in the order that the module describes; without
        `dataset`, those that do not depend on it.

        Raises PipelineError naming the variant and the key, or the variants that exist.
        """
        known("variant", variant, self.variants, "variants")
        layers = [*self._entries(dataset, method), self.variants[variant]]
        chosen = {"features": derived_name(*self._features(layers)), "method": method}
        where = f"method {method}, variant {variant}" + (f", {dataset}" if dataset else "")
        merged = merge({}, *layers)
        merged["policy"] = own(method, merged.get("policy", {}))
        return validate(MethodConfig, {**merged, **chosen}, where)

    def trained_as(self, method: str, variant: str, dataset: str | None = None) -> str:
        """The variant whose training a run plays: the default's, or that of a variant which it
        repeats, where its own settings differ from those only in how a policy is played.
        """
        own, content = self.method(method, variant, dataset).trained(), self.variants[variant]
        repeated = [name for name, part in self.variants.items() if part and _within(part, content)]
        repeated.sort(key=lambda name: len([*leaves(self.variants[name])]))  # so it repeats none
        for name in ("default", *repeated):
            if name != variant and self.method(method, name, dataset).trained() == own:
                return name
        return variant

    def derived_features(self, methods: Iterable[str]) -> dict[str, FeaturesConfig]:
        """The features that a run of `methods` has as a difference from others, by their names."""
        derived: dict[str, FeaturesConfig] = {}
        datasets = [*self.datasets, *self.together]
        naming = [entry for entry in self.settings if "features" in entry.settings]
        stacks = (self._entries(*run, among=naming) for run in product(datasets, methods))
        distinct = {repr(entries): entries for entries in stacks}.values()
        for entries, (variant, overlay) in product(distinct, self.variants.items()):
            name, difference = self._features([*entries, overlay])
            if difference and derived_name(name, difference) not in derived:
                known("features", name, self.features, f"variant {variant}")
                content = merge(self.features[name].model_dump(), difference)
                features = validate(FeaturesConfig, content, f"variant {variant}: features")
                derived[derived_name(name, difference)] = features
        return derived

    def shared(self, features: str, *sections: str) -> str:
        """The features whose artefact serves `features` too: those that they differ from, if the
        sections that the artefact depends on are the same.
        """
        base = features.partition(DIFFERENCE)[0]
        ours, other = self.features[features], self.features[base]
        same = all(getattr(ours, section) == getattr(other, section) for section in sections)
        return base if same else features

    def parts(self, dataset: str) -> list[str]:
        """The data sets that a policy of `dataset` is trained on and played on: itself, or those
        that it puts together.
        """
        several = self.together.get(dataset)
        return [dataset] if several is None else several.together

    def table(self, name: str) -> TableConfig:
        """A table as its rows are: on each of the games that one of its data sets has."""
        table = self.tables[name]
        parts = [part for dataset in table.datasets for part in self.parts(dataset)]
        return table.model_copy(update={"datasets": parts})

    def evaluation(self, dataset: str | None = None) -> EvaluationConfig:
        """The protocol that methods share on `dataset`, and that the random policy is measured
        under: that of the entries that are for no method in particular.
        """
        merged = merge({}, *(entry.get("evaluation", {}) for entry in self._entries(dataset)))
        return validate(EvaluationConfig, merged, "settings: evaluation")

    def environment(self, dataset: str) -> EnvironmentConfig:
        """The environment that `dataset` was recorded in, with the screen that it shows, and served
        as the configuration says.
        """
        chosen = self.datasets[dataset]
        laid_over = {"screen": chosen.screen, "serve": self.serve}
        update = {key: value for key, value in laid_over.items() if value is not None}
        return self.environments[chosen.environment].model_copy(update=update)

    def _entries(
        self,
        dataset: str | None = None,
        method: str | None = None,
        among: Iterable[Entry] | None = None,
    ) -> list[dict[str, Any]]:
        """The settings that are for a run, in order, `among` those given or all; what is not known
        of the run is not met.
        """
        run = {} if method is None else {"method": method}
        if dataset is not None:
            environment = self.datasets[self.parts(dataset)[0]].environment
            run |= {"dataset": dataset, "family": self.environments[environment].family}
            if dataset not in self.together:
                run["environment"] = environment
        entries = self.settings if among is None else among
        return [entry.settings for entry in entries if entry.where.holds(run)]

    def _features(self, layers: Iterable[Mapping[str, Any]]) -> tuple[str, dict[str, Any]]:
        """The features that were named last, and what the layers above really change in them."""
        name, difference = str(MethodConfig.model_fields["features"].default), dict[str, Any]()
        for given in (layer["features"] for layer in layers if "features" in layer):
            if isinstance(given, str):
                name, difference = given, {}
            else:
                difference = merge(difference, given)
        base = self.features[name].model_dump() if difference and name in self.features else {}
        return name, _changed(base, difference)


def derived_name(features: str, difference: Mapping[str, Any]) -> str:
    """`compact` and {prompt_set: synonym} → `compact-prompt_set=synonym`.

    Of a name that is too long for files, what does not fit is counted, and a digest of all of it
    tells it from others: `compact-detector.regions=4-and-12-more-0f3b8a6c21d4`.
    """
    parts = [f"{DIFFERENCE}{key}={value}" for key, value in sorted(leaves(difference))]
    if len(whole := features + "".join(parts)) <= LONGEST_NAME:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
    for shown in range(len(parts) - 1, 0, -1):
        rest = f"{DIFFERENCE}and-{len(parts) - shown}-more-{digest}"
        if len(name := features + "".join(parts[:shown]) + rest) <= LONGEST_NAME:
            return name
    return f"{features}{DIFFERENCE}{len(parts)}-changes-{digest}"


def _changed(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`overlay` without the values that `base` has too."""
    changed: dict[str, Any] = {}
    for key, value in overlay.items():
        old = base.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if below := _changed(old, value):
                changed[key] = below
        elif key not in base or value != old:
            changed[key] = value
    return changed


def _within(part: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Whether `whole` says all that `part` says, and more."""
    return part != whole and merge(whole, part) == whole


def leaves(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested mappings, by its dotted key."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
