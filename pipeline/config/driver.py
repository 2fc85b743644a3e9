"""Mistakes that are reported in one line before any job runs, where Snakemake would report them
late or in many lines: a wrong folder, an unknown target, missing files of data, a lock.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config.runs import ON
from pipeline.errors import PipelineError

LOCKS = Path(".snakemake/locks")


class Given(NamedTuple):
    """Where the configuration and the resources are."""

    base: Path
    """The configuration that the others are laid over."""
    further: list[Path]
    values: Mapping[str, Any]
    """Laid over all files."""
    said_by: str
    """What messages call those values."""
    resources: Path


def given(
    files: Sequence[Path], values: Mapping[str, Any], workflow: Path, moved: bool, results: Path
) -> Given:
    """What the command line says: `--configfile` (`files`) and `--config` (`values`).

    Raises PipelineError for a configuration among the `results`, or a wrong folder (`place_of`).
    """
    check_configurations(files, results)
    base, *further = files or [place_of("config/config.yaml", workflow, moved)]
    return Given(base, further, values, "--config", place_of("resources", workflow, True))


def given_to_module(config: Mapping[str, Any], workflow: Path) -> Given:
    """What a `module` statement says, whose command line and folder are another workflow's.

    Its `config` is laid over `config/config.yaml` beside this Snakefile, or over the file beside it
    that the key `configfile` names.

    Raises PipelineError where the Snakefile is not on this machine, or that file is none.
    """
    if not workflow.is_dir():
        raise PipelineError(
            f"{workflow}: a module needs the whole project on this machine; clone it, and name its "
            "Snakefile by its path"
        )
    name = config.get("configfile", "config/config.yaml")
    if not isinstance(name, str) or not (workflow / name).is_file():
        raise PipelineError(
            f"config of the module: configfile: {name!r} is no file in {workflow}; name one, such "
            "as config/toy.yaml, or leave it out"
        )
    values = {key: value for key, value in config.items() if key != "configfile"}
    return Given(workflow / name, [], values, "config of the module", workflow / "resources")


def place_of(name: str, workflow: Path, moved: bool) -> Path:
    """Where `config/config.yaml` or `resources` is, which nobody named: in this folder, or, where
    Snakemake was told to work in another one (`moved`), beside the Snakefile in `workflow`.

    Raises PipelineError where it only happens to be another folder.
    """
    here = Path(name)
    if here.exists():
        return here
    if moved:
        return workflow / name
    raise PipelineError(
        f"{here} is not in {Path.cwd()}, where Snakemake was started; add --directory {workflow}, "
        f"or --directory {Path.cwd()} to have results here"
    )


def check_configurations(files: Iterable[Path], results: Path) -> None:
    """Refuse configurations that lie in the folder of results: a target that was taken for one."""
    for file in files:
        if file.absolute().is_relative_to(results.absolute()):
            raise PipelineError(
                f"{file}: is a result, and --configfile takes all words that follow for "
                "configurations; targets come first, or after --"
            )


def check_targets(
    targets: Iterable[str], rules: Mapping[str, bool], made: Iterable[str], examples: Iterable[str]
) -> None:
    """Refuse targets that no rule makes, or that are many files.

    Args:
        rules: rule → whether its files are named by wildcards.
        made: those of the targets that are files of a rule.
        examples: files that can be asked for, to guess which was meant; read in case of a fault.
    """
    files = set(made)
    for target in targets:
        if rules.get(target):
            raise PipelineError(
                f"{target} is a rule for many files; name one of them, or a rule for all: "
                f"{', '.join(name for name, many in rules.items() if not many)}"
            )
        if target in rules or target in files:
            continue
        close = difflib.get_close_matches(target, [*rules, *examples], n=1)
        hint = f"did you mean {close[0]}?" if close else "snakemake --list names all rules"
        raise PipelineError(
            f"{target}: no rule makes it ({hint}); correct it, or name the configuration with "
            "these tables, data sets and variants: --configfile"
        )


def played(dataset: str, parts: Sequence[str] | None, on: str) -> str:
    """The data set whose game is played, of a policy trained on `dataset`; of several games, the
    data sets `parts`, the one that `on` names, a folder of the policy's.

    Raises PipelineError where it names none of them.
    """
    named = on.removeprefix(ON)
    if parts is None and not named:
        return dataset
    if parts is None:
        raise PipelineError(f"{dataset} is one game; leave out {on}")
    if named in parts:
        return named
    fault = f"was not trained on {named}" if named else "is several games"
    raise PipelineError(
        f"{dataset} {fault}; name one that it was trained on, in the folder of the policy: "
        f"{', '.join(f'{ON[1:]}{part}' for part in parts)}"
    )


def given_file(path: Path, reader: str, named_by: str) -> str:
    """A file that people put there, and that `reader` is read from; PipelineError where it is
    missing, naming the key `named_by`.
    """
    if not path.exists():
        raise PipelineError(
            f"{path}: missing, and {reader} is read from it; put it there (docs/data.md), or "
            f"correct {named_by}"
        )
    return str(path)


def check_image(image: str) -> None:
    """Refuse a container image that is a file and is not there; others are fetched by address."""
    if "://" not in image and not Path(image).is_file():
        raise PipelineError(
            f"{image}: no such image; make it (docs/cluster.md, Containers), or name yours: "
            "--config 'hardware={image: …}'"
        )


def lock_note(folder: Path = LOCKS) -> str | None:
    """What to say of locks that lie in the folder where Snakemake runs; None if there are none."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    return (
        f"note: {Path.cwd()} is locked: another Snakemake runs here, or one was killed; if none "
        "runs: the same command with --unlock, then again without"
    )
