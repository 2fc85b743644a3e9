"""Toy artefacts of every stage, and stages that run in a process of their own, to be killed."""

import json
from importlib import import_module
from pathlib import Path

import pytest
import torch
from stage_jobs import Job

from pipeline.config import experiment
from pipeline.config.load import load
from pipeline.provenance import source_digest
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
TEXT = ROOT / "docs" / "notebook.md"
PLUGINS = (
    *("data.sources.scripted", "environments.catch", "features.encoders.lxmert"),
    *("language.texts.file", "methods.more3s", "observations.embeddings"),
    "vision.detectors.fast_rcnn",
)
"""What the stages load late: here it is loaded before they are forked."""


@pytest.fixture(scope="session")
def config() -> experiment.Config:
    torch.set_num_threads(1)  # before a fork: threads do not survive one
    return load(ROOT / "config" / "toy.yaml")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the undisturbed outputs of all stages lie."""
    return tmp_path_factory.mktemp("made")


def _sections(config: experiment.Config) -> dict[str, str]:
    """What stages are told of the toy configuration, a little longer than there."""
    method = config.method("more3s")
    longer = {"steps": 60, "evaluate_every": 10, "checkpoint_every": 20}
    training = method.training.model_copy(update=longer)
    method = method.model_copy(update={"training": training})
    features = config.features["toy"].model_copy(update={"encoding_batch": 128})
    environment = config.environment("catch")
    language_model = config.language_models["toy"].model_copy(
        update={"steps": 60, "evaluate_every": 10, "source": "file", "name": str(TEXT)}
    )
    return {
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


@pytest.fixture(scope="session")
def jobs(config: experiment.Config, made: Path) -> dict[str, Job]:
    """Every long stage of the toy workflow and some short ones, each with the inputs that those
    before it left.
    """
    for plugin in PLUGINS:
        import_module(f"pipeline.{plugin}")
    source_digest.code_digest(source_digest.loaded_modules())  # kept for every fork
    sections = _sections(config)
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
