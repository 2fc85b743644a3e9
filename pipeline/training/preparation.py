"""What a training begins with: a new learner, the windows it is trained on, and what its checkpoint
will say of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.data.statistics import statistics
from pipeline.data.together import concatenated, renumbered
from pipeline.data.trajectories import Trajectories, load
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.methods import Learner, Spec, make
from pipeline.nn.transformer import Transformer
from pipeline.observations import MEMORY_MB, ObservationStore, open_store
from pipeline.observations.together import StoreOfSeveral
from pipeline.observations.windows import Windows, default_return_scale
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Description
from pipeline.training.held_out_metrics import split_steps


@dataclass(frozen=True)
class Recording:
    """What was recorded of one game or robot."""

    environment: EnvironmentConfig
    data: Trajectories
    observations: Path


def recordings(
    configs: Sequence[EnvironmentConfig], trajectories: Sequence[Path], observations: Sequence[Path]
) -> list[Recording]:
    """Read what was recorded of each environment; PipelineError where there is not one of each."""
    counts = len(configs), len(trajectories), len(observations)
    if len(set(counts)) > 1:
        raise PipelineError(
            f"{counts[0]} environments, {counts[1]} trajectories and {counts[2]} observations; "
            "give one of each for each game"
        )
    triples = zip(configs, trajectories, observations, strict=True)
    return [Recording(config, load(data), seen) for config, data, seen in triples]


def prepare(
    config: MethodConfig,
    recordings: Sequence[Recording],
    seed: int,
    device: str = "cpu",
    begin: Callable[[Transformer], str] | None = None,
    tasks: Sequence[str] = (),
    first: Path | None = None,
    memory_mb: int = MEMORY_MB,
) -> tuple[Learner, Windows, Description]:
    """A new learner, initialised from `seed`, the windows it is trained on, both for `device`, and
    its checkpoint's description.

    There is one recording, or one for each of `tasks`, which name the games of a policy of several.
    `begin` gives a transformer the layers of a language model and says which; it is called where
    the configuration says so, as `first` is, the policy that it begins with. Raises PipelineError
    where the method has no transformer then, where there is nothing to begin with, for a seed that
    the policy could not be played with, where the method learns from rewards and the data have too
    little for that, and for several games where it is trained on one.
    """
    config.evaluation.reset_seeds(seed)
    windows, spec = open_windows(config, recordings, device, tasks, memory_mb)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learner = make(config, spec)
    initial = None
    if config.policy.from_language_model:
        if begin is None:
            raise PipelineError(
                "policy.initial_weights: language_model, but no language model's layers were given"
            )
        initial = begin(_trunk(learner, config.method))
    if config.policy.first_run is not None:
        if first is None:
            raise PipelineError(
                "policy.initial_weights names a run, but no policy was given; give --first-policy"
            )
        initial = checkpoint.begin_with(learner, first)
    learner.to(device)
    if config.policy.needs_rewards:
        _check_rewards(config, windows, recordings, seed)
    scale = float(spec.statistics.get("return_scale", 1.0))
    return learner, windows, checkpoint.describe(config, seed, scale, spec, initial)


def open_windows(
    config: MethodConfig,
    recordings: Sequence[Recording],
    device: str = "cpu",
    tasks: Sequence[str] = (),
    memory_mb: int = MEMORY_MB,
) -> tuple[Windows, Spec]:
    """The windows of all recordings, and what a method that is trained on them is built for;
    `memory_mb` megabytes of decoded observations stay in memory.
    """
    if len(recordings) != (len(tasks) or 1):
        raise PipelineError(
            f"{len(recordings)} recordings for {len(tasks) or 1} tasks; give one for each of --task"
        )
    if tasks and not config.policy.several_tasks:
        raise PipelineError(
            f"{config.method} is trained on one game at a time, not on {', '.join(tasks)}; choose "
            "one of them, or a method of several"
        )
    share = max(1, memory_mb // len(recordings))
    opened = (_opened(config, each, share) for each in recordings)
    told, spaces, stores = zip(*opened, strict=True)
    if not tasks:
        (known,), (space,), (store,) = told, spaces, stores
        spec = Spec((recordings[0].environment.game,), spaces, store.shape, known)
        data, scale = recordings[0].data, known["return_scale"]
        return Windows(data, store, space, scale, config.policy, device), spec
    joint = environments.joint_actions([each.environment for each in recordings], ", ".join(tasks))
    parts = [
        renumbered(each.data, space, joint) for each, space in zip(recordings, spaces, strict=True)
    ]
    per_task = [{**k, "trajectories": part} for k, part in zip(told, parts, strict=True)]
    store, data = StoreOfSeveral(stores, tasks), concatenated(parts)
    known = {**statistics(data), **store.attributes, "trajectories": data}
    spec = Spec(tuple(tasks), spaces, store.shape, known, tuple(per_task), joint)
    scales = np.array([each["return_scale"] for each in told])
    of = np.repeat(np.arange(len(parts)), [len(part.episode_length) for part in parts])
    return Windows(data, store, joint, scales, config.policy, device, tasks, of), spec


def _opened(
    config: MethodConfig, recording: Recording, memory_mb: int
) -> tuple[dict[str, Any], ActionSpace, ObservationStore]:
    """What is known of a recording, its actions, and what the method observes of it."""
    data = recording.data
    space = environments.make(recording.environment).actions
    store = open_observations(config, space, data, recording.observations, memory_mb)
    scale = config.training.return_scale or default_return_scale(data)
    known = {**statistics(data), **store.attributes, "trajectories": data, "return_scale": scale}
    return known, space, store


def open_observations(
    config: MethodConfig,
    actions: ActionSpace,
    data: Trajectories,
    path: Path,
    memory_mb: int = MEMORY_MB,
) -> ObservationStore:
    """What the method of `config` observes of `data`; PipelineError where they do not fit."""
    if fault := actions.fault(data.actions):
        raise PipelineError(
            f"{data.source}: {fault}; check that the data set names the right environment"
        )
    return open_store(config.policy.observed, path, data, memory_mb)


def _check_rewards(
    config: MethodConfig, windows: Windows, recordings: Sequence[Recording], seed: int
) -> None:
    """PipelineError where nothing can be learned from the rewards of single steps."""
    for data in (each.data for each in recordings):
        if not data.rewards.any():
            raise PipelineError(
                f"{data.source}: every reward is 0, and {config.method} learns from rewards; "
                "choose a method that clones behaviour, or data with rewards"
            )
    steps, needed = split_steps(windows, config.training, seed)[0], config.training.batch_size
    if (found := len(windows.drawn_from(steps))) < needed:
        raise PipelineError(
            f"{windows.trajectories.source}: {found} transitions to train on, fewer than a batch "
            f"of {needed}; lower training.batch_size, or record more episodes"
        )


def _trunk(learner: Learner, method: str) -> Transformer:
    """The transformer that a language model's layers go into."""
    for module in learner.modules():
        if isinstance(module, Transformer):
            return module
    raise PipelineError(f"policy.initial_weights: {method} has no transformer to begin with layers")
