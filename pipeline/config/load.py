"""The configuration on disk → `Config`: read the files, merge the command line, check every name.

A configuration file (`config/config.yaml`, `config/toy.yaml`) stands alone: choosing another one
replaces it, and nothing of the first remains. The folders of FOLDERS that lie beside it are read
whichever file is chosen. Only the driver uses this module; stages receive JSON.
"""

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import plugins, published, source_code
from pipeline.config.experiment import DIFFERENCE, Config, Overrides
from pipeline.config.methods import TransformerSettings, own, settings_class
from pipeline.config.schema import (
    DatasetConfig,
    EncoderConfig,
    EnvironmentConfig,
    FeaturesConfig,
    LanguageModelConfig,
    MethodConfig,
    Section,
)
from pipeline.config.section import known, merge, validate
from pipeline.errors import PipelineError

FOLDERS: dict[str, type[Section] | None] = {
    "environments": EnvironmentConfig,
    "datasets": DatasetConfig,
    "features": FeaturesConfig,
    "language_models": LanguageModelConfig,
    "variants": None,
}
"""Folders beside the configuration file; a file's name is the name of what it defines."""
ARTEFACTS = "artefacts.csv"
"""Beside the configuration file: what others have published."""


NAME = r"[A-Za-z0-9][A-Za-z0-9._+=-]*"
"""What a file may be called: nothing that a shell or a folder reads as more than a name."""


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read the configuration `path`, the folders beside it, and check every name and key in them.

    `overrides` (the command line's) are merged over the file, key by key; lists and single values
    replace. Raises PipelineError: one line with file, key, cause and the names that are allowed.
    """
    where, folder = _shown(path), path.parent
    raw = merge(_read(path), _named(overrides or {}, "--config"))
    sections: dict[str, dict[str, Any]] = {}
    for name, schema in FOLDERS.items():
        files = sorted((folder / name).glob("*.yaml"))
        texts = {_name_of(file): (_read(file), _shown(file)) for file in files}
        sections[name] = {
            stem: validate(schema, text, file) if schema else _overlay(text, file)
            for stem, (text, file) in texts.items()
        }
    sections["published"] = published.read(folder / ARTEFACTS)
    for key in raw:
        own = [name for name in Config.model_fields if name not in sections]
        known("key", key, own, where)
    _overlay(raw.get("defaults") or {}, f"{where}: defaults")
    if isinstance(given := raw.get("methods"), dict):
        raw["methods"] = {name: settings or {} for name, settings in given.items()}
        for method, settings in raw["methods"].items():
            known("method", method, plugins.names("methods"), f"{where}: methods")
            _overlay(settings, f"{where}: methods.{method}")
    _check_overrides(raw.get("overrides") or {}, f"{where}: overrides")
    for name in sections["features"]:
        if DIFFERENCE in name:
            raise PipelineError(
                f"{_shown(folder / 'features' / f'{name}.yaml')}: a name of features must not "
                f"contain {DIFFERENCE!r}, which joins it to what a variant changes; rename the file"
            )
    config = validate(Config, {**raw, **sections}, where)
    _check_overlays(config, where, folder)
    features = {**config.features, **config.derived_features()}
    config = config.model_copy(update={"features": features})
    for artefact in config.unverified_artefacts:
        _check_published(config, artefact, f"{where}: unverified_artefacts")
    _check_plugins(config, where, folder)
    _check_tables(config, where)
    return config


def detector_constant(detector: str, name: str) -> str | bool | tuple[str, ...] | None:
    """What the class of a detector says of itself, read from source as well."""
    return source_code.class_constant(f"pipeline.vision.detectors.{detector}", name)


def _read(path: Path) -> dict[str, Any]:
    """A YAML mapping; an empty file is an empty mapping."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(f"{_shown(path)}: no such configuration file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        cause = " ".join(str(error).split())
        raise PipelineError(f"{_shown(path)}: not valid YAML: {cause}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise PipelineError(
            f"{_shown(path)}: expected keys and values, found {type(content).__name__}"
        )
    return _named(content, _shown(path))


def _named(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The mapping, in which, and in whatever it holds, every key is text."""
    waiting: list[Any] = [content]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            for key in item:
                if not isinstance(key, str):
                    raise PipelineError(f"{where}: the key {key!r} is not text; put it in quotes")
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
    return dict(content)


def _name_of(file: Path) -> str:
    """What a file defines, which becomes part of paths and of commands."""
    if re.fullmatch(NAME, file.stem) is None:
        raise PipelineError(
            f"{_shown(file)}: a name has letters, digits and . _ + - =, a letter or digit first; "
            "rename the file"
        )
    return file.stem


def _overlay(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Check settings that only say what differs: the keys of MethodConfig except its name."""
    allowed = [name for name in MethodConfig.model_fields if name != "method"]
    if not isinstance(content, dict):
        raise PipelineError(f"{where}: expected keys and values, found {type(content).__name__}")
    for key in content:
        known("key", str(key), allowed, where)
    checked = {key: value for key, value in content.items() if key != "policy"}
    _check_policy(content.get("policy") or {}, where)
    if isinstance(difference := content.get("features"), dict):
        validate(FeaturesConfig, difference, f"{where}: features")
        del checked["features"]
    validate(MethodConfig, {**checked, "method": "any"}, where)
    return content


def _check_policy(content: Any, where: str) -> None:
    """Check settings that several methods share: each takes those that it has."""
    if not isinstance(content, dict):
        raise PipelineError(f"{where}: policy: expected keys and values")
    schemas = {name: settings_class(name) for name in plugins.names("methods")}
    allowed = sorted({key for schema in schemas.values() for key in schema.model_fields})
    for key in content:
        known("key", str(key), allowed, f"{where}: policy.{key}")
    for name in schemas:
        validate(MethodConfig, {"method": name, "policy": own(name, content)}, where)


def _check_overrides(content: Any, where: str) -> None:
    """Check what differs on families and environments: settings, and `methods` with settings."""
    parts = validate(Overrides, content, where)
    for name, settings in {**parts.families, **parts.environments}.items():
        shared = {key: value for key, value in settings.items() if key != "methods"}
        _overlay(shared, f"{where}.{name}")
        for method, differing in (settings.get("methods") or {}).items():
            known("method", method, plugins.names("methods"), f"{where}.{name}: methods")
            _overlay(differing, f"{where}.{name}: methods.{method}")


def _shown(path: Path) -> str:
    """`config/variants/no_memory.yaml` whatever folder the checkout lies in."""
    parent = path.absolute().parent
    root = parent.parent if parent.name in FOLDERS else parent
    return path.absolute().relative_to(root.parent).as_posix()


def _check_overlays(config: Config, where: str, folder: Path) -> None:
    """Check that what defaults, methods and variants name is there; errors name their file."""
    overlays = {f"{where}: defaults": config.defaults}
    overlays |= {f"{where}: methods.{name}": settings for name, settings in config.methods.items()}
    for part in (config.overrides.families, config.overrides.environments):
        for name, settings in part.items():
            overlays[f"{where}: overrides.{name}"] = settings
            for method, differing in settings.get("methods", {}).items():
                overlays[f"{where}: overrides.{name}: methods.{method}"] = differing
    for name, settings in config.variants.items():
        overlays[_shown(folder / "variants" / f"{name}.yaml")] = settings
    for place, settings in overlays.items():
        if isinstance(settings.get("features"), str):
            known("features", settings["features"], config.features, place)
        if (language_model := settings.get("language_model")) is not None:
            known("language model", language_model, config.language_models, place)


def _check_plugins(config: Config, where: str, folder: Path) -> None:
    """Check that every name of a plug-in or of another file is one; errors name their file."""
    for name in config.overrides.families:
        known("environment family", name, plugins.names("environments"), f"{where}: overrides")
    for name in config.overrides.environments:
        known("environment", name, config.environments, f"{where}: overrides")
    for name, environment in config.environments.items():
        file = _shown(folder / "environments" / f"{name}.yaml")
        _check_place("game", environment.game, file)
        known("environment family", environment.family, plugins.names("environments"), file)
    for name, dataset in config.datasets.items():
        file = _shown(folder / "datasets" / f"{name}.yaml")
        known("environment", dataset.environment, config.environments, file)
        known("source", dataset.source, plugins.names("data.sources"), file)
        for recording in dataset.files:
            _check_place("file", recording, file)
    for name, features in config.features.items():
        file = _shown(folder / "features" / f"{name.partition(DIFFERENCE)[0]}.yaml")
        known("detector", features.detector.name, plugins.names("vision.detectors"), file)
        known("encoder", features.encoder.name, plugins.names("features.encoders"), file)
        _check_heads(features.encoder, f"{file}: encoder")
        _check_published(config, features.encoder.published, f"{file}: encoder.published")
        if features.encoder.published and features.encoder.box_frequencies:
            raise PipelineError(
                f"{file}: encoder.box_frequencies is {features.encoder.box_frequencies}; published "
                "weights take the coordinates themselves, set it to 0"
            )
        artefact, place = features.detector.published, f"{file}: detector.published"
        _check_published(config, artefact, place)
        if artefact and not detector_constant(features.detector.name, "takes_weights"):
            raise PipelineError(
                f"{place}: {features.detector.name} takes no published weights; remove the key, or "
                "choose a detector that does"
            )
    for name, language_model in config.language_models.items():
        file = _shown(folder / "language_models" / f"{name}.yaml")
        known("text source", language_model.source, plugins.names("language.texts"), file)
        _check_heads(language_model, file)
        _check_published(config, language_model.published, f"{file}: published")


def _check_heads(
    section: EncoderConfig | LanguageModelConfig | TransformerSettings, where: str
) -> None:
    """Check that attention's heads can share the width."""
    if section.width % section.heads:
        raise PipelineError(
            f"{where}.heads: {section.heads} heads cannot share a width of {section.width}; make "
            "the width a multiple"
        )


def _check_published(config: Config, artefact: str | None, where: str) -> None:
    """Check that an artefact is one of the table of published files."""
    if artefact is not None:
        known(f"artefact of {ARTEFACTS}", artefact, config.published, where)


def _check_place(key: str, value: str, where: str) -> None:
    """Check a name, or several with / between, of a file below the resources."""
    if not all(re.fullmatch(NAME, part) for part in value.split("/")):
        raise PipelineError(
            f"{where}: {key}: {value!r} is not the name of a file below the resources: parts of "
            "letters, digits and . _ + - =, with / between"
        )


def _check_tables(config: Config, where: str) -> None:
    """Check the names of every table, and the settings of all its runs."""
    for name, table in config.tables.items():
        place = f"{where}: tables.{name}"
        known("table", name, plugins.names("reporting.tables"), f"{where}: tables")
        for dataset_name in table.datasets:
            known("dataset", dataset_name, config.datasets, place)
        for method in (*table.methods, *table.beside):
            known("method", method, config.methods, place)
        for variant in table.variants:
            known("variant", variant, config.variants, place)
        for (method, variant), dataset in product(table.rows, table.datasets):
            run = f"{place}: {method}, {variant}, {dataset}"
            settings = config.method(method, variant, dataset)
            known("features", settings.features, config.features, place)
            known("observation", settings.policy.observed, settings.policy.observations, run)
            batch, processes = settings.training.batch_size, config.hardware.processes
            if batch % processes:
                raise PipelineError(
                    f"{run}: training.batch_size: {batch} cannot be shared by {processes} "
                    "processes; make it a multiple of hardware.processes"
                )
            if isinstance(settings.policy, TransformerSettings):
                _check_heads(settings.policy, f"{run}: policy")
            if settings.policy.from_language_model:
                _check_language_model(config, settings, run)


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
