"""Schemas of the configuration's files, for editors: which keys there are, what they mean and take.

`python -m pipeline.config.json_schema config/schema` writes them; a test holds them current.
"""

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from pipeline.config import plugins
from pipeline.config.experiment import Config, Where
from pipeline.config.load import FOLDERS, TOGETHER
from pipeline.config.methods import settings_class
from pipeline.config.schema import (
    FeaturesConfig,
    MethodConfig,
    Section,
    TableConfig,
    TogetherConfig,
)
from pipeline.io.atomic import replacing

CONFIGURATION = "configuration"
"""The schema of the files beside the folders."""
WRITTEN_SHORTER: dict[type[Section], dict[str, Any]] = {
    Where: {key: {"type": "string"} for key in Where.model_fields},
    MethodConfig: {"features": {"$ref": "#/$defs/FeaturesConfig"}},
}
"""What keys also take in a file."""
SHORTER_POLICY = {"memory_length": {"enum": ["K/2", "K", "2K"]}}


def schemas() -> dict[str, dict[str, Any]]:
    """JSON schemas by the folder for whose files they are, and CONFIGURATION."""
    whole = {name: each for name, each in FOLDERS.items() if each}
    methods = [settings_class(name) for name in plugins.names("methods")]
    parts: list[type[Section]] = [MethodConfig, TableConfig, TogetherConfig]
    named: list[type[Section]] = [Config, Where, *parts, *whole.values()]
    sections = dict.fromkeys([*named, *methods])
    references, content = models_json_schema([(each, "validation") for each in sections])
    shared = content["$defs"]
    of = {each: shared[references[each, "validation"]["$ref"].split("/")[-1]] for each in sections}
    for partly in (Config, MethodConfig, TableConfig, FeaturesConfig):
        of[partly].pop("required", None)  # a file may say what differs, and no more
    for section, also in WRITTEN_SHORTER.items():
        _accept(of[section]["properties"], also)
    policy = _together([of[each]["properties"] for each in methods], shared)
    _accept(policy, SHORTER_POLICY)
    run = of[MethodConfig]["properties"]
    del run["method"]  # which is said by `where`, and by a table
    run["policy"] = {"type": "object", "properties": policy, "additionalProperties": False}
    where = {"where": {"$ref": "#/$defs/Where"}}
    top = of[Config]["properties"]
    for name in (*(set(FOLDERS) - {"tables"}), TOGETHER, "published"):  # files of their own
        del top[name]
    entry = {**of[MethodConfig], "properties": {**where, **run}}
    top["settings"] = {"type": "array", "items": entry, "description": "later over earlier"}
    named_roots: dict[str, type[Section]] = {CONFIGURATION: Config, **whole}
    named_roots |= {"variants": MethodConfig, "tables": TableConfig}
    roots: dict[str, dict[str, Any]] = {name: of[each] for name, each in named_roots.items()}
    several = {"if": {"required": [TOGETHER]}, "then": of[TogetherConfig]}
    roots["datasets"] = {**several, "else": roots["datasets"]}
    return {name: {**root, "$defs": _needed(root, shared)} for name, root in roots.items()}


def _needed(schema: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Those of the `shared` definitions that a schema refers to, or what it refers to does."""
    found: dict[str, Any] = {}
    left = [schema]
    while left:
        names = re.findall(r'"#/\$defs/(\w+)"', json.dumps(left.pop()))
        new = {name: shared[name] for name in names if name not in found}
        found |= new
        left += new.values()
    return found


def _together(sections: Iterable[dict[str, Any]], shared: dict[str, Any]) -> dict[str, Any]:
    """The keys of all `sections`; one that means several things may be any of them. What is itself
    a section in each, such as `planner`, has the keys of all of these.
    """
    found: dict[str, list[Any]] = {}
    for key, schema in ((key, each[key]) for each in sections for key in each):
        if schema not in found.setdefault(key, []):
            found[key].append(schema)
    return {key: _any_of(schemas, shared) for key, schemas in found.items()}


def _any_of(schemas: list[dict[str, Any]], shared: dict[str, Any]) -> dict[str, Any]:
    """A schema of what fits one of several."""
    if len(schemas) == 1:
        return schemas[0]
    inner = [shared.get(each.get("$ref", "").split("/")[-1], {}) for each in schemas]
    if not all("properties" in each for each in inner):
        return {"anyOf": schemas}
    keys = _together([each["properties"] for each in inner], shared)
    return {"type": "object", "properties": keys, "additionalProperties": False}


def _accept(properties: dict[str, Any], also: dict[str, Any]) -> None:
    """Let the keys of `also` be what it says as well."""
    for key, schema in also.items():
        told = properties[key]
        properties[key] = {"description": told.get("description", ""), "anyOf": [told, schema]}


def write(folder: Path) -> None:
    """A file per schema."""
    for name, schema in schemas().items():
        with replacing(folder / f"{name}.json") as temporary:
            text = json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="that the schemas are written to")
    write(parser.parse_args().folder)
