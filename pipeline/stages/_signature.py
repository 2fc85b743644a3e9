"""A stage's signature → its command line, and the job that its records describe.

What a parameter is stands in its annotation: `Input`, `GivenInput`, `Output`, or a setting, of a
section of the configuration or of a plain type. `Annotated[…, "text"]` adds its line of the help.
"""

import collections.abc
import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from enum import Enum
from inspect import Parameter, getmodule, signature
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline.config.schema import Section
from pipeline.io.shard import Shard
from pipeline.provenance import record

Note = TypeVar("Note")
Stage = Callable[..., None]


class Kind(Enum):
    """What a parameter is; one that says nothing is a setting."""

    SETTING = "setting"
    INPUT = "input"
    GIVEN = "given"
    OUTPUT = "output"
    SHARDS = "shards"
    IDENTITY = "identity"


@dataclass(frozen=True)
class Reads:
    """Of a folder of given data the stage reads the files that `names` returns.

    It is called with everything that the command line says, as attributes.
    """

    names: Callable[[Any], Sequence[str]]


@dataclass(frozen=True)
class Parsed:
    """A setting whose text is read by `parse`, which raises PipelineError or ValueError."""

    parse: Callable[[str], Any]


class Lower:
    """Settings of a section that can be lowered where memory has ended."""

    def __init__(self, *settings: str) -> None:
        self.settings = settings


@dataclass(frozen=True)
class Running:
    """A setting that makes no difference to what the outputs hold, such as how much memory is used:
    what was killed goes on with another.
    """


@dataclass(frozen=True)
class Positional:
    """A setting that is told by its place on the command line."""


Input = Annotated[Path, Kind.INPUT]
"""A file or folder that another stage has made."""
Inputs = Sequence[Input]
"""Several of them, in an order that a setting explains."""
GivenInput = Annotated[Path, Kind.GIVEN]
"""A file or folder of given data, which no stage makes."""
Output = Annotated[Path, Kind.OUTPUT]
"""A file or folder that the stage writes."""
Identity = Annotated[Callable[[], str], Kind.IDENTITY]
"""Gives all that the outputs depend on now, as one digest: for a long stage that can be resumed.

It is no option. Call it when everything that the stage loads is loaded.
"""
OwnShard = Annotated[Shard | None, Parsed(Shard.parse), "do this share of the work only (K-of-N)"]
Shards = Annotated[Sequence[Path], Kind.SHARDS, "put these together"]
"""Shares of the work. They are in no record: they go when they are together, and hold what the
output holds.
"""


@dataclass(frozen=True)
class Option:
    """One parameter as the command line knows it."""

    name: str
    type: Any
    kind: Kind
    many: bool
    default: Any
    notes: Sequence[Any]
    """All else that its annotation holds."""

    @classmethod
    def of(cls, parameter: Parameter, hint: Any) -> "Option":
        """Of a parameter and its annotation."""
        notes: list[Any] = []
        many = False
        while origin := get_origin(hint):
            if origin is Annotated:
                notes += hint.__metadata__
                hint = hint.__origin__
            elif origin in (Union, UnionType):  # with None
                hint = next(each for each in get_args(hint) if each is not NoneType)
            elif origin is collections.abc.Sequence and not _of(Parsed, notes):
                many, hint = True, get_args(hint)[0]
            else:
                break
        kind = _of(Kind, notes) or Kind.SETTING
        return cls(parameter.name, hint, kind, many, parameter.default, notes)

    def add_to(self, parser: ArgumentParser, groups: Mapping[Kind, Any]) -> None:
        """Add it to a command line."""
        required = self.default is Parameter.empty
        positional = _of(Positional, self.notes) is not None
        keywords: dict[str, Any] = {"help": _of(str, self.notes)}
        if not required:
            keywords["default"] = self.default
        if self.type is bool:
            keywords["action"] = "store_true"
        else:
            keywords["type"] = self._parse
        if self._is_section:
            keywords["metavar"] = "JSON"
        if self.many:
            keywords["nargs"] = "+" if required else "*"
        if not positional:
            keywords |= {"dest": self.name, "required": required}
        name = self.name if positional else f"--{self.name.replace('_', '-')}"
        groups.get(self.kind, parser).add_argument(name, **keywords)

    @property
    def _is_section(self) -> bool:
        return isinstance(self.type, type) and issubclass(self.type, Section)

    @property
    def _parse(self) -> Callable[[str], Any]:
        if parsed := _of(Parsed, self.notes):
            return parsed.parse
        parse: Callable[[str], Any] = self.type.from_json if self._is_section else self.type
        return parse


def options_of(stage: Callable[..., Any]) -> Iterator[Option]:
    """The parameters of a stage; one whose type is a dataclass stands for the fields of that."""
    hints = get_type_hints(stage, include_extras=True)
    for parameter in signature(stage).parameters.values():
        hint = hints[parameter.name]
        if is_dataclass(hint) and isinstance(hint, type):
            yield from options_of(hint)
        else:
            yield Option.of(parameter, hint)


def lowered(stage: Stage) -> Iterator[str]:
    """The settings to lower where a stage's memory has ended."""
    for option in options_of(stage):
        if note := _of(Lower, option.notes):
            yield from note.settings


def parser_of(stage: Stage) -> ArgumentParser:
    """The command line of a stage; its help opens with the docstring of its module."""
    parser = ArgumentParser(
        description=getattr(getmodule(stage), "__doc__", None),
        formatter_class=RawDescriptionHelpFormatter,
    )
    reads, writes = parser.add_argument_group("inputs"), parser.add_argument_group("outputs")
    groups = {Kind.INPUT: reads, Kind.GIVEN: reads, Kind.SHARDS: reads, Kind.OUTPUT: writes}
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of torch and the codecs (default: 1)"
    )
    for option in options_of(stage):
        if option.kind is not Kind.IDENTITY:
            option.add_to(parser, groups)
    return parser


def job_of(stage: Stage, module: str, told: Mapping[str, Any]) -> record.Job:
    """What a command line tells a stage to do."""
    options = list(options_of(stage))
    settings = {"threads": told["threads"]}
    settings |= {each.name: told[each.name] for each in options if each.kind is Kind.SETTING}
    if processes := os.environ.get("WORLD_SIZE"):  # as torchrun tells it
        settings["processes"] = int(processes)
    inputs = [(each.name, path, False) for each, path in _paths(options, Kind.INPUT, told)]
    for each, path in _paths(options, Kind.GIVEN, told):
        reads = _of(Reads, each.notes)
        names = reads.names(SimpleNamespace(**told)) if reads else [""]
        inputs += [(each.name, path / name, True) for name in names]
    outputs = [path for _, path in _paths(options, Kind.OUTPUT, told)]
    running = [each.name for each in options if _of(Running, each.notes)]
    return record.Job(module, settings, inputs, outputs, running)


def call(function: Callable[..., Any], told: Mapping[str, Any]) -> Any:
    """Call a stage, or build a dataclass that stands among its parameters, with what was told."""
    hints = get_type_hints(function, include_extras=True)
    return function(
        **{
            name: call(hints[name], told) if is_dataclass(hints[name]) else told[name]
            for name in signature(function).parameters
        }
    )


def _of(kind: type[Note], notes: Sequence[Any]) -> Note | None:
    """The note of a kind among those of an annotation."""
    return next((note for note in notes if isinstance(note, kind)), None)


def _paths(
    options: Sequence[Option], kind: Kind, told: Mapping[str, Any]
) -> Iterator[tuple[Option, Path]]:
    """The paths of one kind, in the order of the signature."""
    for option in (option for option in options if option.kind is kind):
        value = told[option.name]
        for path in value if option.many else [value] if value else []:
            yield option, path
