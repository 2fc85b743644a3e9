"""The whole experiment: the configuration with everything that it names, and the settings of each
run.

A run's settings are laid over one another: defaults, what differs on the dataset's family of
environments and on its environment, method, what differs for the method there, variant. `features`
may be named or, above the defaults, given as what differs; such features are named after the
difference, so that all variants with the same one share their caches.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from pydantic import Field

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
    Section,
    SweepConfig,
    TableConfig,
)
from pipeline.config.section import known, merge, validate

LAID_APART = ("features", "methods")
"""Keys of a layer that are not merged as they are."""
DIFFERENCE = "-"
"""Between the name of a features file and each difference from it."""


class Overrides(Section):
    """What differs from the defaults where: any settings of a method, and `methods` with further
    ones of single methods.
    """

    families: dict[str, dict[str, Any]] = Field(
        default={}, description="module of pipeline/environments/ → settings on its environments"
    )
    environments: dict[str, dict[str, Any]] = Field(
        default={}, description="file of config/environments/ → settings on it"
    )


class Config(Section):
    """`config/config.yaml` with the files below `config/` read in by name."""

    scale: str = Field(description="label of the scale, printed in every table: laptop, toy, paper")
    defaults: dict[str, Any] = Field(
        default={}, description="policy, training, evaluation and features shared by methods"
    )
    methods: dict[str, dict[str, Any]] = Field(
        description="method → what differs from the defaults"
    )
    overrides: Overrides = Overrides()
    tables: dict[str, TableConfig]
    sweep: SweepConfig = SweepConfig()
    hardware: HardwareConfig = HardwareConfig()
    environments: dict[str, EnvironmentConfig]
    datasets: dict[str, DatasetConfig]
    features: dict[str, FeaturesConfig]
    language_models: dict[str, LanguageModelConfig]
    variants: dict[str, dict[str, Any]] = Field(
        description="variant → what differs from the method's settings"
    )
    published: dict[str, Published] = Field(
        default={}, description="what others have published, by name: artefacts.csv"
    )
    artefacts_dir: str | None = Field(
        None,
        description="a folder that holds published files, in a folder per artefact; nothing is "
        "downloaded then",
    )
    unverified_artefacts: list[str] = Field(
        [], description="artefacts that are accepted though a file has no known checksum"
    )

    def method(
        self, method: str, variant: str = "default", dataset: str | None = None
    ) -> MethodConfig:
        """Settings of one run, merged key by key in the order that the module describes; without
        `dataset`, those that do not depend on it.

        Raises PipelineError naming the variant and the key, or the names that exist.
        """
        environment = None if dataset is None else self.datasets[dataset].environment
        layers = self._layers(method, variant, environment)
        merged: dict[str, Any] = {}
        for layer in layers:
            merged = merge(merged, {key: layer[key] for key in layer if key not in LAID_APART})
        merged["policy"] = own(method, merged.get("policy", {}))
        name, difference = self._features(layers)
        chosen = {"features": derived_name(name, difference), "method": method}
        where = f"method {method}, variant {variant}" + (f", {dataset}" if dataset else "")
        return validate(MethodConfig, {**merged, **chosen}, where)

    def derived_features(self) -> dict[str, FeaturesConfig]:
        """The features that some method in some variant gives as a difference, by their names."""
        derived: dict[str, FeaturesConfig] = {}
        for method, variant, place in product(self.methods, self.variants, self.environments):
            name, difference = self._features(self._layers(method, variant, place))
            if difference and derived_name(name, difference) not in derived:
                known("features", name, self.features, f"method {method}, variant {variant}")
                content = merge(self.features[name].model_dump(), difference)
                where = f"method {method}, variant {variant}: features"
                derived[derived_name(name, difference)] = validate(FeaturesConfig, content, where)
        return derived

    def shared(self, features: str, *sections: str) -> str:
        """The features whose artefact serves `features` too: those that they differ from, if the
        sections that the artefact depends on are the same.
        """
        base = features.partition(DIFFERENCE)[0]
        own, other = self.features[features], self.features[base]
        same = all(getattr(own, section) == getattr(other, section) for section in sections)
        return base if same else features

    def evaluation(self, dataset: str | None = None) -> EvaluationConfig:
        """The protocol that methods share on `dataset`, and that the random policy is measured
        under.
        """
        merged: dict[str, Any] = {}
        for layer in (self.defaults, *self._places(dataset and self.datasets[dataset].environment)):
            merged = merge(merged, layer.get("evaluation", {}))
        return validate(EvaluationConfig, merged, "defaults.evaluation")

    def _features(self, layers: tuple[Mapping[str, Any], ...]) -> tuple[str, dict[str, Any]]:
        """The features that were named last, and what the layers above really change in them."""
        name, difference = _features(layers)
        base = self.features[name].model_dump() if name in self.features else {}
        return name, _changed(base, difference)

    def environment(self, dataset: str) -> EnvironmentConfig:
        """The environment that `dataset` was recorded in, with the screen that it shows."""
        chosen = self.datasets[dataset]
        environment = self.environments[chosen.environment]
        if chosen.screen is None:
            return environment
        return environment.model_copy(update={"screen": chosen.screen})

    def _layers(
        self, method: str, variant: str, environment: str | None
    ) -> tuple[Mapping[str, Any], ...]:
        """What a run's settings are merged from, the first the most general."""
        known("method", method, self.methods, "methods")
        known("variant", variant, self.variants, "variants")
        places = self._places(environment)
        here = (place.get("methods", {}).get(method, {}) for place in places)
        return (self.defaults, *places, self.methods[method], *here, self.variants[variant])

    def _places(self, environment: str | None) -> tuple[Mapping[str, Any], ...]:
        """What differs on an environment: of its family, then its own."""
        if environment is None:
            return ()
        family = self.environments[environment].family
        return (
            self.overrides.families.get(family, {}),
            self.overrides.environments.get(environment, {}),
        )


def derived_name(features: str, difference: Mapping[str, Any]) -> str:
    """`compact` and {prompt_set: synonym} → `compact-prompt_set=synonym`."""
    parts = (f"{DIFFERENCE}{key}={value}" for key, value in sorted(_leaves(difference)))
    return features + "".join(parts)


def _features(layers: tuple[Mapping[str, Any], ...]) -> tuple[str, dict[str, Any]]:
    """The features that were named last, and what the layers above change in them."""
    name = str(MethodConfig.model_fields["features"].default)
    difference: dict[str, Any] = {}
    for layer in layers:
        given = layer.get("features", {})
        if isinstance(given, str):
            name, difference = given, {}
        else:
            difference = merge(difference, given)
    return name, difference


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


def _leaves(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested mappings, by its dotted key."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
