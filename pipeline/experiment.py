"""The whole experiment: the configuration with everything that it names, and the settings of each
run.

A run's settings are laid over one another: defaults, method, variant. `features` may be named or,
above the defaults, given as what differs; such features are named after the difference, so that all
variants with the same one share their caches.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from pipeline.config import (
    DatasetConfig,
    Device,
    EnvironmentConfig,
    EvaluationConfig,
    FeaturesConfig,
    LanguageModelConfig,
    MethodConfig,
    Section,
    SweepConfig,
    TableConfig,
)
from pipeline.validation import known, merge, validate

DIFFERENCE = "-"
"""Between the name of a features file and each difference from it."""


class Config(Section):
    """`config/config.yaml` with the files below `config/` read in by name."""

    scale: str = Field(description="label of the scale, printed in every table: laptop, toy, paper")
    defaults: dict[str, Any] = Field(
        default={}, description="policy, training, evaluation and features shared by methods"
    )
    methods: dict[str, dict[str, Any]] = Field(
        description="method → what differs from the defaults"
    )
    tables: dict[str, TableConfig]
    sweep: SweepConfig = SweepConfig()
    device: Device = Field("cpu", description="what detection and encoding run on")
    shards: int = Field(
        1, ge=1, description="jobs that detection and encoding of one data set are divided into"
    )
    environments: dict[str, EnvironmentConfig]
    datasets: dict[str, DatasetConfig]
    features: dict[str, FeaturesConfig]
    language_models: dict[str, LanguageModelConfig]
    variants: dict[str, dict[str, Any]] = Field(
        description="variant → what differs from the method's settings"
    )

    def method(self, method: str, variant: str = "default") -> MethodConfig:
        """Settings of one run: defaults, then the method's, then the variant's, merged key by key.

        Raises PipelineError naming the variant and the key, or the names that exist.
        """
        known("method", method, self.methods, "methods")
        known("variant", variant, self.variants, "variants")
        layers = (self.defaults, self.methods[method], self.variants[variant])
        merged: dict[str, Any] = {}
        for layer in layers:
            merged = merge(merged, {key: layer[key] for key in layer if key != "features"})
        name, difference = _features(layers)
        chosen = {"features": derived_name(name, difference), "method": method}
        return validate(MethodConfig, {**merged, **chosen}, f"method {method}, variant {variant}")

    def derived_features(self) -> dict[str, FeaturesConfig]:
        """The features that some method in some variant gives as a difference, by their names."""
        derived = {}
        for method, variant in ((m, v) for m in self.methods for v in self.variants):
            layers = (self.defaults, self.methods[method], self.variants[variant])
            name, difference = _features(layers)
            if difference:
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

    def evaluation(self) -> EvaluationConfig:
        """The protocol that methods share, and that the random policy is measured under."""
        return validate(
            EvaluationConfig, self.defaults.get("evaluation", {}), "defaults.evaluation"
        )

    def environment(self, dataset: str) -> EnvironmentConfig:
        """The environment that `dataset` was recorded in."""
        return self.environments[self.datasets[dataset].environment]


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


def _leaves(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested mappings, by its dotted key."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
