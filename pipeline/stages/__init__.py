"""One command per rule, `python -m pipeline.stages.<rule>`: parse → load → call → write.

No logic lives here. A stage declares its settings, inputs and outputs once; that is its command
line, and what the records beside its outputs say (`pipeline.provenance.record`).
"""

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

from pipeline.config.schema import Section
from pipeline.errors import PipelineError
from pipeline.io.shard import Shard
from pipeline.provenance import record


class StageParser(ArgumentParser):
    """A command line that knows settings from inputs from outputs.

    `--help` opens with the docstring. Keywords are those of `add_argument`; an option that is added
    with that itself is a setting.
    """

    def __init__(self, doc: str | None) -> None:
        super().__init__(description=doc, formatter_class=RawDescriptionHelpFormatter)
        self._reads = self.add_argument_group("inputs")
        self._writes = self.add_argument_group("outputs")
        self._kinds: dict[str, str] = {}
        self._found: dict[str, Callable[[Namespace], list[str]]] = {}
        self.add_argument(
            "--threads", type=int, default=1, help="threads of torch and the codecs (default: 1)"
        )

    def sections(self, **schemas: type[Section]) -> None:
        """Parts of the configuration: `--name JSON`, parsed and checked."""
        for name, schema in schemas.items():
            text = f"{name} section"
            self.add_argument(
                f"--{name}", type=schema.from_json, required=True, metavar="JSON", help=text
            )

    def inputs(self, *names: str, **keywords: Any) -> None:
        """Files and folders that the stage reads."""
        self._paths("input", self._reads, names, keywords)

    def input_below(
        self, name: str, find: Callable[[Namespace], list[str]], **keywords: Any
    ) -> None:
        """A folder of given data, of which the stage reads what `find` names."""
        self._paths("given", self._reads, (name,), keywords)
        self._found[_key(name)] = find

    def given_inputs(self, *names: str, **keywords: Any) -> None:
        """Files of given data, which no stage makes."""
        self._paths("given", self._reads, names, keywords)

    def outputs(self, *names: str, **keywords: Any) -> None:
        """Files and folders that the stage writes."""
        self._paths("output", self._writes, names, keywords)

    def shards(self) -> None:
        """A stage that may do a share of its work, or put shares together.

        The shards are in no record: they go when they are together, and hold what the output holds.
        """
        self.add_argument(
            "--shard", type=Shard.parse, metavar="K-of-N", help="do this share of the work only"
        )
        words = {"required": False, "nargs": "+", "default": []}
        self._paths("passing", self._reads, ("shards",), {**words, "help": "put these together"})

    def job(self, arguments: Namespace, module: str) -> record.Job:
        """What `arguments` tell the stage to do."""
        values = vars(arguments)
        settings = {key: value for key, value in values.items() if key not in self._kinds}
        if processes := os.environ.get("WORLD_SIZE"):  # as torchrun tells it
            settings["processes"] = int(processes)
        inputs = [(key, path, False) for key, path in self._given(values, "input")]
        for key, path in self._given(values, "given"):
            find = self._found.get(key)
            paths = [path / name for name in find(arguments)] if find else [path]
            inputs += [(key, each, True) for each in paths]
        outputs = [path for _, path in self._given(values, "output")]
        return record.Job(module, settings, inputs, outputs)

    def identity(self, arguments: Namespace, main: Callable[[Namespace], None]) -> str:
        """All that the outputs depend on, as one digest: for a long stage that can be resumed."""
        return record.identity(self.job(arguments, _module_of(main)))

    def _paths(
        self, kind: str, group: Any, names: tuple[str, ...], keywords: dict[str, Any]
    ) -> None:
        for name in names:
            self._kinds[_key(name)] = kind
            group.add_argument(f"--{name}", **{"type": Path, "required": True, **keywords})

    def _given(self, values: dict[str, Any], kind: str) -> Iterator[tuple[str, Path]]:
        """The paths of one kind, in the order they were declared."""
        for key in (key for key, its in self._kinds.items() if its == kind):
            value = values[key]
            for path in value if isinstance(value, list) else [value] if value else []:
                yield key, path


def execute(main: Callable[[Namespace], None], parser: StageParser) -> None:
    """Run a stage on inputs that are as their records say, and record what it wrote.

    A PipelineError, and what the system says of a file, become one line on standard error and exit
    status 1.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # whatever the locale cannot print is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = parser.parse_args()
        started = datetime.now(UTC)
        if torch := sys.modules.get("torch"):  # of a stage that computes with it
            torch.set_num_threads(arguments.threads)
        for _, path, _ in parser.job(arguments, _module_of(main)).inputs:
            record.verify(path)
        main(arguments)
        record.write(parser.job(arguments, _module_of(main)), started)
    except PipelineError as error:
        _stop(error)
    except OSError as error:
        _stop(
            PipelineError(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        )


def _stop(error: PipelineError) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)


def _module_of(main: Callable[[Namespace], None]) -> str:
    """The name of a stage's module, also where it runs as `__main__`."""
    spec = sys.modules[main.__module__].__spec__
    return spec.name if spec else main.__module__


def _key(name: str) -> str:
    """The attribute that argparse keeps an option under."""
    return name.replace("-", "_")
