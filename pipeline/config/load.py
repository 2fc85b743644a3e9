"""The configuration on disk → `Config`: read the files, merge the command line, check every name.

A configuration file (`config/config.yaml`, `config/toy.yaml`) stands alone: choosing another one
replaces it, and nothing of the first remains. The folders of FOLDERS that lie beside it are read
whichever file is chosen. Only the driver uses this module; stages receive JSON.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.config import plugins, published
from pipeline.config.checks import NAME, NAMING, check_data, check_models, check_tables
from pipeline.config.experiment import DIFFERENCE, Config, Entry, Where, leaves
from pipeline.config.methods import inner_sections, own, settings_class
from pipeline.config.schema import (
    DatasetConfig,
    EnvironmentConfig,
    FeaturesConfig,
    LanguageModelConfig,
    MethodConfig,
    Section,
    TableConfig,
    TogetherConfig,
)
from pipeline.config.section import explain, known, merge, telling, validate
from pipeline.errors import PipelineError, unknown_name
from pipeline.io.yaml import read_yaml

FOLDERS: dict[str, type[Section] | None] = {
    "environments": EnvironmentConfig,
    "datasets": DatasetConfig,
    "features": FeaturesConfig,
    "language_models": LanguageModelConfig,
    "tables": None,
    "variants": None,
}
"""Folders beside the configuration file; a file's name is the name of what it defines, or, of the
last two, of what it says in part."""
TOGETHER = "together"
"""The key of a data set that puts others together, and where the configuration has those."""
ARTEFACTS = "artefacts.csv"
"""Beside the configuration file: what others have published."""


def load(
    path: Path,
    command_line: Mapping[str, Any] | None = None,
    further: Sequence[Path] = (),
    said_by: str = "--config",
) -> Config:
    """Read the configuration `path`, the folders beside it, and check every name and key in them.

    The files of `further`, then `command_line`, are merged over it, key by key; lists and single
    values replace, but `settings`, whose entries are laid over those before. `said_by` is what
    messages call `command_line`. Raises PipelineError: one line with file, key, cause and the names
    that are allowed.
    """
    where, folder = _shown(path), _folder(path)
    sections = _folders(folder)
    sections["published"] = published.read(folder / ARTEFACTS)
    given = [(_shown(file), _read(file)) for file in (path, *further)]
    given.append((said_by, dict(command_line or {})))
    shared, raw = sections.pop("tables"), merge({}, *(content for _, content in given))
    if isinstance(tables := raw.get("tables"), dict):
        raw["tables"] = merge({name: shared.get(name, {}) for name in tables}, tables)
        _check_declared(given, raw["tables"], shared)
    allowed = [name for name in Config.model_fields if name not in sections]
    for source, content in given:
        for key in content:
            known("key", key, allowed, source)
    raw["settings"] = [entry for source in given for entry in _entries(*source, sections)]
    try:
        config = Config.model_validate({**raw, **sections})
    except ValidationError as error:
        raise explain(error, _said_by(given, telling(error)["loc"]), Config) from None
    check_data(config, where)
    features = {**config.features, **config.derived_features(plugins.names("methods"))}
    config = config.model_copy(update={"features": features})
    check_models(config, where)
    check_tables(config, lambda table: _said_by(given, ("tables", table)))
    return config


def _folder(path: Path) -> Path:
    """The folder with those of FOLDERS: where the file `path` lies, or what it is a link to.

    Raises PipelineError where there are none.
    """
    folder, target = path.parent, path.resolve().parent
    for place in (folder, target):
        if any((place / name).is_dir() for name in FOLDERS):
            return place
    if path.is_file():
        raise PipelineError(
            f"{_shown(path)}: {', '.join(FOLDERS)} are not beside it; put it into config/, or lay "
            f"it over a file there: --configfile config/config.yaml {path}"
        )
    return folder


def _said_by(given: Sequence[tuple[str, Mapping[str, Any]]], place: Iterable[int | str]) -> str:
    """Which of the sources says what is at `place`, or most of the way there; of several the last,
    for it is laid over the others.
    """
    deepest, found = -1, given[0][0]
    for source, content in given:
        inner: Any = content
        depth = 0
        for key in place:
            if not isinstance(inner, Mapping) or key not in inner:
                break
            inner, depth = inner[key], depth + 1
        if depth >= max(deepest, 1):
            deepest, found = depth, source
    return found


def _check_declared(
    given: Sequence[tuple[str, Mapping[str, Any]]],
    tables: Mapping[str, Any],
    shared: Mapping[str, Any],
) -> None:
    """Raise a PipelineError for a table that is neither known nor declared."""
    declared = [
        name
        for name, table in tables.items()
        if name in shared or not isinstance(table, Mapping) or "datasets" in table
    ]
    for name, table in tables.items():
        if name not in declared:
            where = f"{_said_by(given, ('tables', name))}: tables.{name}"
            for key in table:
                known("key", key, TableConfig.model_fields, where)
            others = list(dict.fromkeys([*shared, *declared]))
            raise PipelineError(
                f"{where}: {unknown_name('table', name, others)}; a new one has datasets, methods "
                "and seeds"
            )


def _folders(folder: Path) -> dict[str, dict[str, Any]]:
    """What the files of FOLDERS define, by folder and name."""
    sections: dict[str, dict[str, Any]] = {TOGETHER: {}}
    for name, schema in FOLDERS.items():
        sections[name] = {}
        for file in sorted((folder / name).glob("*.yml")):
            raise PipelineError(f"{_shown(file)}: rename it to {file.stem}.yaml")
        for file in sorted((folder / name).glob("*.yaml")):
            stem, content, shown = _name_of(file), _read(file), _shown(file)
            if name == "variants":  # the last, for it names others
                _overlay(content, shown, sections)
            elif name == "tables":
                for key in content:
                    known("key", key, TableConfig.model_fields, shown)
            if name == "datasets" and TOGETHER in content:
                sections[TOGETHER][stem] = validate(TogetherConfig, content, shown)
            else:
                sections[name][stem] = validate(schema, content, shown) if schema else content
    return sections


def _entries(
    source: str, content: Mapping[str, Any], sections: Mapping[str, Mapping[str, Any]]
) -> Iterator[Entry]:
    """The entries of the list `settings` that `source` gives, checked."""
    given = content.get("settings", [])
    if not isinstance(given, list):
        raise PipelineError(f"{source}: settings: expected a list, found {type(given).__name__}")
    allowed = {
        "family": plugins.names("environments"),
        "environment": list(sections["environments"]),
        "dataset": [*sections["datasets"], *sections[TOGETHER]],
        "method": plugins.names("methods"),
    }
    for number, entry in enumerate(given):
        place = f"{source}: settings[{number}]"
        told = entry.get("where", {}) if isinstance(entry, dict) else {}
        where = validate(Where, told, f"{place}.where")
        for kind, names in where:
            for name in names or ():
                known(kind, name, allowed[kind], f"{place}.where")
        settings = _overlay(entry, place, sections, ("where",), where.method)
        yield Entry(where=where, settings={k: v for k, v in settings.items() if k != "where"})


def _overlay(
    content: object,
    where: str,
    sections: Mapping[str, Mapping[str, Any]],
    beside: Iterable[str] = (),
    methods: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Check settings that only say what differs: MethodConfig's but its name, and keys `beside`;
    they are of the `methods`, or else of all.
    """
    if not isinstance(content, dict):
        raise PipelineError(f"{where}: expected keys and values, found {type(content).__name__}")
    allowed = [name for name in (*MethodConfig.model_fields, *beside) if name != "method"]
    for key in content:
        known("key", key, allowed, where)
    checked = {key: value for key, value in content.items() if key not in beside}
    if isinstance(content.get("features"), dict):
        validate(FeaturesConfig, checked.pop("features"), f"{where}: features")
    _check_policy(checked.pop("policy", {}), where, methods)
    named = validate(MethodConfig, {**checked, "method": "any"}, where)
    if "features" in checked:
        known("features", named.features, sections["features"], where)
    if named.language_model is not None:
        known("language model", named.language_model, sections["language_models"], where)
    return dict(content)


def _check_policy(content: object, where: str, named: Iterable[str] | None) -> None:
    """Check settings that several methods share, of which each takes those that it has, in sections
    such as `planner` too. All that are `named` have to take them; where none is, one of those that
    have a key, for the others may be in no table.
    """
    if not isinstance(content, dict):
        found = type(content).__name__
        raise PipelineError(f"{where}: policy: expected keys and values, found {found}")
    methods = list(named or plugins.names("methods"))
    _check_keys(content, map(settings_class, methods), f"{where}: policy")
    taken = {name: own(name, content) for name in methods}
    keys = {name: {key for key, _ in leaves(policy)} for name, policy in taken.items()}
    having = [{name for name in methods if key in keys[name]} for key, _ in leaves(content)]
    groups = [{name} for name in methods] if named else having
    refused: dict[str, PipelineError] = {}
    for name in set().union(*groups):  # of hundreds of files few say anything of a method's own
        try:
            validate(MethodConfig, {"method": name, "policy": taken[name]}, where)
        except PipelineError as error:
            refused[name] = error
    for group in groups:
        if group <= refused.keys():
            raise PipelineError(f"{refused[first := min(group)]} (method {first})")


def _check_keys(content: Mapping[Any, Any], schemas: Iterable[type[BaseModel]], place: str) -> None:
    """Check that every key, of sections too, is one of some schema's."""
    schemas = list(schemas)
    allowed = sorted({key for schema in schemas for key in schema.model_fields})
    inner = inner_sections(schemas)
    for key, value in content.items():
        known("key", key, allowed, f"{place}.{key}")
        if key in inner and isinstance(value, Mapping):
            _check_keys(value, inner[key], f"{place}.{key}")


def _read(path: Path) -> dict[str, Any]:
    """A YAML mapping; an empty file is an empty mapping."""
    try:
        content = read_yaml(path, _shown(path))
    except FileNotFoundError:
        raise PipelineError(f"{_shown(path)}: no such configuration file") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise PipelineError(
            f"{_shown(path)}: expected keys and values, found {type(content).__name__}"
        )
    return content


def _name_of(file: Path) -> str:
    """What a file defines, which becomes part of paths and of commands."""
    if re.fullmatch(NAME, file.stem) is None:
        raise PipelineError(f"{_shown(file)}: {NAMING}; rename the file")
    if file.parent.name == "features" and DIFFERENCE in file.stem:
        raise PipelineError(
            f"{_shown(file)}: a name of features must not contain {DIFFERENCE!r}, which joins it "
            "to what a variant changes; rename the file"
        )
    return file.stem


def _shown(path: Path) -> str:
    """`config/variants/no_memory.yaml` whatever folder the checkout lies in."""
    parent = path.absolute().parent
    root = parent.parent if parent.name in FOLDERS else parent
    return path.absolute().relative_to(root.parent).as_posix()
