"""Small bundles of untrained policies, made by the stages themselves, for the tests of the door."""

from pathlib import Path
from typing import Any

import numpy as np
import robots
import torch
from command_line import words
from encoding import FEATURES
from policies import method_config
from torch import nn

from pipeline import environments
from pipeline.config.schema import DatasetConfig, EnvironmentConfig, EvaluationConfig, MethodConfig
from pipeline.data import trajectories
from pipeline.data.trajectories import Trajectories
from pipeline.features import prompts
from pipeline.features.encoders import lxmert
from pipeline.methods import Spec, make
from pipeline.stages import execute
from pipeline.stages.bundle_policy import bundle_policy
from pipeline.stages.evaluate_policy import evaluate_policy
from pipeline.training import checkpoint

CATCH = EnvironmentConfig(
    family="catch", game="Catch", max_noops=8, random_score=-1.9, reference_score=6
)
SCRIPTED = DatasetConfig(environment="catch", source="scripted", episodes=2, max_episode_steps=30)
EVALUATION = EvaluationConfig(episodes=2, temperature=0.7, epsilon=0.1)
METHODS = {"more3s": "embeddings", "decision_transformer": "pixels", "behaviour_cloning": "pixels"}


def make_bundle(folder: Path, method: str, states: bool = False) -> Path:
    """The folder of a bundle; beside it lie the `episodes.csv` of its evaluation and its parts."""
    dataset, environment = (
        (robots.dataset(max_episode_steps=40), robots.config()) if states else (SCRIPTED, CATCH)
    )
    if states:
        np.savez(folder / "hopper.npz", **robots.recording())
    data = trajectories.collect(dataset, environment, folder)
    trajectories.save(folder / "t.h5", data, environment, dataset)
    config = method_config(method, observation="states" if states else METHODS[method])
    config = config.model_copy(update={"evaluation": EVALUATION})
    seeing = _see(folder) if method == "more3s" else {}
    _save(folder, config, data, environment, seeing)
    told = {
        "method": config.as_json(),
        "features": FEATURES.as_json(),
        "environment": environment.as_json(),
        "dataset": dataset.as_json(),
        "seed": 4,
        "policy": folder / "policy.safetensors",
        "trajectories": folder / "t.h5",
        "episodes": folder / "episodes.csv",
        "run": folder / "run.json",
        **seeing,
    }
    execute(evaluate_policy, words(**told))
    labels = {"name": dataset.environment, "variant": "default", "scale": "toy", "licences": "{}"}
    execute(bundle_policy, words(**told, **labels, bundle=folder / "bundle"))
    return folder / "bundle"


def _see(folder: Path) -> dict[str, Path]:
    """Prompts and an encoder for Catch."""
    text = prompts.as_json(robots.RESOURCES, "Catch", "original", ("NOOP", "RIGHT", "LEFT"))
    (folder / "prompts.json").write_text(text)
    sentences = prompts.Prompts.read(folder / "prompts.json").sentences
    lxmert.create(FEATURES.encoder, FEATURES.detector.feature_size, sentences, folder / "encoder")
    (folder / "encoder" / ".snakemake_timestamp").touch()
    return {"prompts": folder / "prompts.json", "encoder": folder / "encoder"}


def _save(
    folder: Path,
    config: MethodConfig,
    data: Trajectories,
    environment: EnvironmentConfig,
    seeing: dict[str, Path],
) -> None:
    """A policy with random weights, large enough that what it sees decides."""
    game, known = environments.make(environment), dict[str, Any]()
    shape: dict[str, tuple[int, ...]] = {"frames": (4, 84, 84)}
    if data.observations is not None:
        shape = {"state": data.observations.shape[1:]}
    elif seeing:
        sentences = prompts.Prompts.read(seeing["prompts"]).sentences
        text = max(len(sentence.replace(".", " .").split()) for sentence in sentences) + 2
        tokens, width = text + FEATURES.detector.regions, FEATURES.encoder.width
        shape = {"tokens": (tokens, width), "mask": (tokens,), "pooled": (2, width)}
        known = {"text_tokens": text, "action_embeddings": np.eye(3, width)}
        known |= {"weights": FEATURES.weights, "features": FEATURES.model_dump()}
    torch.manual_seed(0)
    spec = Spec((environment.game,), (game.actions,), shape, known)
    policy = make(config, spec)
    for parameter in policy.parameters():
        if parameter.dim() < 4:
            nn.init.normal_(parameter, std=0.3)
    checkpoint.save(
        folder / "policy.safetensors", policy, checkpoint.describe(config, 4, 6.0, spec)
    )
