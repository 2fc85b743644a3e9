"""Toy artefacts of every stage, and stages that run in a process of their own, to be killed."""

import json
import os
import resource
import signal
import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import RLock

import pytest
import torch
from events import Events
from tqdm import tqdm

from pipeline.config import experiment
from pipeline.config.load import load
from pipeline.provenance import source_digest
from pipeline.stages import execute
from pipeline.stages._signature import Stage
from pipeline.stages.build_cache import build_cache
from pipeline.stages.collect_trajectories import collect_trajectories
from pipeline.stages.detect_regions import detect_regions
from pipeline.stages.evaluate_policy import evaluate_policy
from pipeline.stages.gather_scores import gather_scores
from pipeline.stages.plot_perplexity import plot_perplexity
from pipeline.stages.pretrain_encoder import pretrain_encoder
from pipeline.stages.pretrain_language_model import pretrain_language_model
from pipeline.stages.render_frames import render_frames
from pipeline.stages.shrink_frames import shrink_frames
from pipeline.stages.train_policy import train_policy
from pipeline.stages.write_prompts import write_prompts

ROOT = Path(__file__).parents[2]
TEXT = ROOT / "docs" / "learning.md"
PLUGINS = (
    *("data.sources.scripted", "environments.catch", "features.encoders.lxmert"),
    *("language.texts.file", "methods.more3s", "observations.embeddings"),
    "vision.detectors.fast_rcnn",
)
"""What the stages load late: here it is loaded before they are forked."""
LONGEST = 900
"""Seconds after which a stage is ended as stuck; beside other work it takes minutes."""


@dataclass(frozen=True)
class Job:
    """A stage with its command line; outputs go to a folder of choice."""

    stage: Stage
    options: dict[str, str]
    outputs: dict[str, str]
    """Option → name of the file or folder."""

    def words(self, folder: Path) -> list[str]:
        """The command line."""
        given = {**self.options, **{k: str(folder / v) for k, v in self.outputs.items()}}
        return [word for name, value in given.items() for word in (_flag(name), value)]

    def start(
        self,
        folder: Path,
        log: Path | None = None,
        file_size: int | None = None,
        fatal: int | None = None,
    ) -> int:
        """Run in a fork of this process, which has imported all that is slow; returns its id.

        With `file_size` the system lets no file grow beyond so many bytes; with `fatal` it is
        killed at the event of that number, and one of 0 never comes: their number is then the last
        line of the log.
        """
        process = os.fork()
        if process:
            return process
        try:
            signal.alarm(LONGEST)
            tqdm.set_lock(RLock())  # the usual one is shared by forks: a kill may leave it held
            file = (log or folder / "log").open("w", buffering=1)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = file  # else pytest's
            if file_size is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error number instead
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
            events = None if fatal is None else Events(fatal)
            execute(self.stage, self.words(folder))
            if events is not None:
                print(events.count, flush=True)
        except BaseException as error:
            code = error.code if isinstance(error, SystemExit) else 70
            if code == 70:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(int(code or 0))
        os._exit(0)

    def refused(self, folder: Path, log: Path, file_size: int | None = None) -> str:
        """Run, and see it fail with one line, which is returned without `error: `."""
        _, status = os.waitpid(self.start(folder, log, file_size), 0)
        said = log.read_text()
        assert os.waitstatus_to_exitcode(status) == 1, said
        assert "Traceback" not in said, said
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, said
        return errors[0].removeprefix("error: ")

    def run(self, folder: Path) -> int:
        """Run to the end; returns how many events there were."""
        _, status = os.waitpid(self.start(folder, fatal=0), 0)
        said = (folder / "log").read_text()
        assert os.waitstatus_to_exitcode(status) == 0, said
        return int(said.split()[-1])

    def kill(self, folder: Path, event: int) -> bool:
        """Run, and be killed at an event; whether there were so many."""
        _, status = os.waitpid(self.start(folder, fatal=event), 0)
        assert os.WIFSIGNALED(status) or not status, (folder / "log").read_text()
        return os.WIFSIGNALED(status)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def contents(folder: Path, names: list[str]) -> dict[str, bytes]:
    """Every file of the outputs that are there."""
    found = {}
    for name in names:
        path = folder / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        found |= {str(f.relative_to(folder)): f.read_bytes() for f in files if f.is_file()}
    return found


@dataclass(frozen=True)
class Trial:
    """A job that is to be disturbed in `folder`, and what it does when it is not."""

    job: Job
    folder: Path
    events: int
    expected: dict[str, bytes]
    files: set[str]
    """Names of all that lies in its folder in the end."""

    @classmethod
    def of(cls, job: Job, tmp_path: Path) -> "Trial":
        undisturbed, folder = tmp_path / "undisturbed", tmp_path / "killed"
        undisturbed.mkdir()
        folder.mkdir()
        events = job.run(undisturbed)
        expected = contents(undisturbed, list(job.outputs.values()))
        assert expected
        return cls(job, folder, events, expected, {path.name for path in undisturbed.iterdir()})

    def found(self) -> dict[str, bytes]:
        """The outputs that are there now."""
        return contents(self.folder, list(self.job.outputs.values()))

    def ends_alike(self) -> None:
        """Run it to its end."""
        self.job.run(self.folder)
        assert self.found() == self.expected
        left = {path.name for path in self.folder.iterdir()} - self.files
        assert not left, "what a kill left was not cleared"


@pytest.fixture(scope="session")
def config() -> experiment.Config:
    torch.set_num_threads(1)  # before a fork: threads do not survive one
    return load(ROOT / "config" / "toy.yaml")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the undisturbed outputs of all stages lie."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="session")
def jobs(config: experiment.Config, made: Path) -> dict[str, Job]:
    """Every long stage of the toy workflow and some short ones, each with the inputs that those
    before it left.
    """
    for plugin in PLUGINS:
        import_module(f"pipeline.{plugin}")
    source_digest.code_digest(source_digest.loaded_modules())  # kept for every fork
    method = config.method("more3s")
    longer = {"steps": 60, "evaluate_every": 10, "checkpoint_every": 20}
    training = method.training.model_copy(update=longer)
    method = method.model_copy(update={"training": training})
    features = config.features["toy"].model_copy(update={"encoding_batch": 128})
    environment = config.environment("catch")
    language_model = config.language_models["toy"].model_copy(
        update={"steps": 60, "evaluate_every": 10, "source": "file", "name": str(TEXT)}
    )
    sections = {
        "dataset": config.datasets["catch"].as_json(),
        "environment": environment.as_json(),
        "features": features.as_json(),
        "detector": features.detector.as_json(),
        "method": method.as_json(),
        "language_model": language_model.as_json(),
        "resources": str(ROOT / "resources"),
        "prompt_set": "original",
        "seed": "0",
        "runs": json.dumps(
            [{"dataset": "catch", "method": "more3s", "variant": "default", "seed": 0}]
        ),
        "title": "toy",
    }
    found: dict[str, Job] = {}

    def stage(function: Stage, options: str, inputs: dict[str, str], **outputs: str) -> None:
        paths = {name: str(made / file) for name, file in inputs.items()}
        chosen = {name: sections[name] for name in options.split()}
        job = Job(function, {**chosen, **paths}, outputs)
        job.run(made)
        found[function.__name__] = job

    steps = {"trajectories": "trajectories.h5"}
    frames = {"frames": "frames.h5"}
    seen = {**steps, **frames, "prompts": "prompts.json", "regions": "regions.h5"}
    acting = {**steps, "policy": "policy", "prompts": "prompts.json", "encoder": "encoder"}
    stage(collect_trajectories, "dataset environment resources", {}, trajectories="trajectories.h5")
    stage(render_frames, "environment dataset resources", steps, frames="frames.h5")
    stage(write_prompts, "environment prompt_set resources", steps, prompts="prompts.json")
    stage(shrink_frames, "", frames, pixels="pixels.h5")
    stage(detect_regions, "detector", frames, regions="regions.h5")
    stage(pretrain_encoder, "features environment", seen, encoder="encoder", curve="encoder.csv")
    stage(
        build_cache,
        "features environment",
        {**seen, "encoder": "encoder"},
        cache="cache.h5",
    )
    stage(
        pretrain_language_model,
        "language_model",
        {},
        model="language_model",
        tokenizer="tokenizer.json",
        curve="perplexity.csv",
    )
    stage(
        train_policy,
        "method environment seed",
        {**steps, "observations": "cache.h5"},
        policy="policy",
        checkpoints="checkpoints",
        curve="curve.csv",
    )
    stage(
        evaluate_policy,
        "method features environment dataset seed",
        acting,
        episodes="episodes.csv",
        run="run.json",
    )
    played = {"episodes": "episodes.csv", "run": "run.json"}
    stage(gather_scores, "runs", played, scores="scores.csv")
    stage(plot_perplexity, "title", {"curve": "perplexity.csv"}, picture="perplexity.png")
    return found
