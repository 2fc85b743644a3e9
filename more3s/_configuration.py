"""The shipped configuration by name: what is played, and how long an episode may be."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from more3s.workflow_files import folder
from pipeline.config import plugins
from pipeline.config.load import TOGETHER
from pipeline.config.schema import DatasetConfig, EnvironmentConfig, Section, TogetherConfig
from pipeline.config.section import validate
from pipeline.errors import PipelineError, unknown_name
from pipeline.io.yaml import read_yaml

FOLDERS: dict[str, type[Section]] = {"datasets": DatasetConfig, "environments": EnvironmentConfig}
"""Folders of the configuration, in the order in which a name is looked for."""


@dataclass(frozen=True)
class Rules:
    """How an environment is played."""

    environment: EnvironmentConfig
    max_episode_steps: int


def rules(name: str) -> Rules:
    """Those of `config/datasets/<name>.yaml`, with its screen and its cut, or of
    `config/environments/<name>.yaml`, cut where a data set is unless it says otherwise.

    Looked for below the current folder and then where the package has its own. Raises PipelineError
    with the names that there are.
    """
    dataset = _read("datasets", name)
    if isinstance(dataset, DatasetConfig):
        environment = _environment(dataset.environment)
        screen = {} if dataset.screen is None else {"screen": dataset.screen}
        return Rules(environment.model_copy(update=screen), dataset.max_episode_steps)
    environment = _environment(name)
    family = plugins.load("environments", environment.family)
    longest = getattr(family, "longest_episode", lambda config: None)(environment)
    return Rules(environment, longest or DatasetConfig.model_fields["max_episode_steps"].default)


def _environment(name: str) -> EnvironmentConfig:
    found = _read("environments", name)
    if isinstance(found, EnvironmentConfig):
        return found
    if not any(_files()):
        raise PipelineError(
            "config/: not found in the current folder, nor beside the package; install it again, "
            "or change to a clone of the project"
        )
    raise unknown_name("environment", name, sorted({path.stem for path in _files()}))


def _read(folder: str, name: str) -> Section | None:
    """A file of the configuration; None if there is none of this name."""
    for path in _files(folder):
        if path.stem == name:
            content = read_yaml(path)
            if isinstance(content, dict) and TOGETHER in content:
                parts = validate(TogetherConfig, content, str(path)).together
                raise PipelineError(f"{path}: several games; name one of them: {', '.join(parts)}")
            return validate(FOLDERS[folder], content, str(path))
    return None


def _files(*folders: str) -> Iterator[Path]:
    for root in (Path.cwd(), folder()):
        for name in folders or FOLDERS:
            yield from sorted((root / "config" / name).glob("*.yaml"))
