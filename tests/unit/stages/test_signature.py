"""A stage's signature is its command line, its help and what its records say."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from inspect import Parameter, getdoc, signature
from pathlib import Path
from typing import Annotated

import pytest
from command_line import words

from pipeline.config.schema import SweepConfig
from pipeline.errors import PipelineError
from pipeline.provenance import record
from pipeline.stages import (
    GivenInput,
    Identity,
    Input,
    Inputs,
    Output,
    OwnShard,
    Parsed,
    Positional,
    Reads,
    Running,
    Shards,
    execute,
)
from pipeline.stages import shrink_frames as a_stage
from pipeline.stages._signature import Kind, options_of, parser_of

STAGES = sorted(
    path.stem for path in Path(import_module("pipeline.stages").__path__[0]).glob("[!_]*.py")
)
SWEEP = SweepConfig(targets=[0.5], episodes=1).as_json()
CALLS: list[dict[str, object]] = []


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A part of a signature."""

    seed: int
    weights: Annotated[Input | None, "if it has any"] = None


def example(
    *,
    sweep: SweepConfig,
    name: Annotated[str, Positional(), "what it is called"],
    first: Annotated[Input, "read first"],
    shared: Shared,
    many: Inputs = (),
    folder: Annotated[GivenInput, Reads(lambda told: told.names)],
    names: Sequence[str],
    numbers: Annotated[dict[str, int] | None, Parsed(json.loads)] = None,
    loud: bool = False,
    memory: Annotated[int, Running()] = 8,
    made: Output,
    shard: OwnShard = None,
    shards: Shards = (),
    identity: Identity,
) -> None:
    """Write down what it was told."""
    CALLS.append({**locals(), "identity": identity()})
    if name == "failing":
        raise PipelineError("no; try again")
    made.write_text("made")


example.__module__ = a_stage.__name__  # a record names a module of the package


@pytest.fixture
def told(tmp_path: Path) -> list[str]:
    CALLS.clear()
    for name in ("first", "second", "third", "shares"):
        (tmp_path / name).write_text(name)
    return [
        "called",
        *words(sweep=SWEEP, first=tmp_path / "first", seed=3, folder=tmp_path, names=["third"]),
        *words(many=[tmp_path / "second", tmp_path / "first"], numbers='{"a": 1}'),
        *words(shards=[tmp_path / "shares"], made=tmp_path / "made", threads=2),
        "--loud",
    ]


def test_a_stage_is_called_with_what_its_command_line_says(told: list[str], tmp_path: Path) -> None:
    execute(example, told)
    (call,) = CALLS
    assert call["sweep"] == SweepConfig(targets=[0.5], episodes=1)
    assert (call["name"], call["loud"], call["numbers"]) == ("called", True, {"a": 1})
    assert call["shared"] == Shared(seed=3)
    assert call["many"] == [tmp_path / "second", tmp_path / "first"]
    assert (call["names"], call["shard"]) == (["third"], None)
    assert call["shards"] == [tmp_path / "shares"]


def test_its_record_says_what_it_read_in_the_order_of_the_signature(
    told: list[str], tmp_path: Path
) -> None:
    execute(example, told)
    written = record.read(tmp_path / "made")
    assert [(read.option, Path(read.path).name, read.given) for read in written.inputs] == [
        *(("first", "first", False), ("many", "second", False), ("many", "first", False)),
        ("folder", "third", True),
    ]
    assert written.settings == {
        **{"threads": 2, "name": "called", "seed": 3, "names": ["third"], "numbers": {"a": 1}},
        **{"loud": True, "memory": 8, "shard": None, "sweep": json.loads(SWEEP)},
    }
    assert written.seeds == {"seed": 3}


def test_an_identity_is_of_all_that_the_outputs_depend_on(told: list[str], tmp_path: Path) -> None:
    execute(example, told)
    execute(example, told)
    execute(example, [*told, "--memory", "4"])
    execute(example, [*told, "--seed", "4"])
    (tmp_path / "first").write_text("other")
    execute(example, told)
    first, same, less, seed, content = (call["identity"] for call in CALLS)
    assert first == same == less
    assert len({first, seed, content}) == 3


def test_an_input_that_is_not_as_its_record_says_is_refused(
    told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(example, told)
    sidecar = record.sidecar(tmp_path / "made")
    sidecar.rename(record.sidecar(tmp_path / "first"))  # a record of another file
    with pytest.raises(SystemExit, match="1"):
        execute(example, told)
    assert "made" in capsys.readouterr().err
    record.sidecar(tmp_path / "first").unlink()
    started = datetime.now(UTC)
    record.write(record.Job("pipeline.stages.build_cache", {}, [], [tmp_path / "first"]), started)
    (tmp_path / "first").write_text("changed")
    with pytest.raises(SystemExit, match="1"):
        execute(example, told)
    assert "first: damaged, or changed since" in capsys.readouterr().err
    assert len(CALLS) == 1


@pytest.mark.parametrize(
    ("changed", "status", "expected"),
    [
        (["--sweep", '{"target": [1]}'], 1, "error: SweepConfig: target: unknown key"),
        (["--seed", "one"], 2, "argument --seed: invalid int value"),
        (["--shard", "3-of-2"], 2, "argument --shard: invalid parse value"),
        (["--colour", "red"], 2, "unrecognized arguments: --colour red"),
    ],
)
def test_what_it_refuses(
    told: list[str],
    changed: list[str],
    status: int,
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        execute(example, [*told, *changed])
    assert caught.value.code == status
    error = capsys.readouterr().err
    assert expected in error
    assert CALLS == []


def test_a_failure_is_one_line_and_no_record(
    told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        execute(example, ["failing", *told[1:]])
    assert capsys.readouterr().err == "error: no; try again\n"
    assert not record.sidecar(tmp_path / "made").exists()


def test_the_help_tells_inputs_from_outputs() -> None:
    text = parser_of(example).format_help()
    settings, _, paths = text.partition("\ninputs:")
    inputs, _, outputs = paths.partition("\noutputs:")
    assert "what it is called" in settings
    assert "--sweep JSON" in settings
    assert "read first" in inputs
    assert "if it has any" in inputs
    assert "--folder" in inputs
    assert "--made" in outputs
    assert "identity" not in text


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_a_function_of_its_modules_name(name: str) -> None:
    module = import_module(f"pipeline.stages.{name}")
    stage = getattr(module, name)
    kinds = {parameter.kind for parameter in signature(stage).parameters.values()}
    assert kinds == {Parameter.KEYWORD_ONLY}
    assert getdoc(stage)
    assert module.__doc__.splitlines()[0] in parser_of(stage).format_help()
    found = [option.name for option in options_of(stage)]
    assert len(found) == len(set(found))
    if name not in ("demo", "explain", "plan", "verify_cache"):
        assert any(option.kind is Kind.OUTPUT for option in options_of(stage))
