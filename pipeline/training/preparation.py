"""What a training begins with: a new learner, the windows it is trained on, and what its checkpoint
will say of it.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.data.statistics import statistics
from pipeline.data.trajectories import Trajectories
from pipeline.environments import Environment
from pipeline.errors import PipelineError
from pipeline.methods import Learner, Spec, make
from pipeline.nn.transformer import Transformer
from pipeline.observations import ObservationStore, open_store
from pipeline.observations.windows import Windows, default_return_scale
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Description
from pipeline.training.held_out_metrics import split_steps


def prepare(
    config: MethodConfig,
    environment: EnvironmentConfig,
    data: Trajectories,
    observations: Path,
    seed: int,
    device: str = "cpu",
    begin: Callable[[Transformer], str] | None = None,
) -> tuple[Learner, Windows, Description]:
    """A new learner, initialised from `seed`, the windows it is trained on, both for `device`, and
    its checkpoint's description.

    `begin` gives a transformer the layers of a language model and says which; it is called where
    the configuration says so. Raises PipelineError where the method has no transformer then, where
    there is nothing to begin with, for a seed that the policy could not be played with, and where
    it learns from rewards and the data have too little for that.
    """
    config.evaluation.reset_seeds(seed)
    game = environments.make(environment)
    store = open_observations(config, game, data, observations)
    scale = config.training.return_scale or default_return_scale(data)
    told = {**statistics(data), **store.attributes, "trajectories": data, "return_scale": scale}
    spec = Spec((environment.game,), (game.actions,), store.shape, told)
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
    learner.to(device)
    windows = Windows(data, store, game.actions, scale, config.policy, device)
    if config.policy.needs_rewards:
        _check_rewards(config, windows, seed)
    return learner, windows, checkpoint.describe(config, seed, scale, spec, initial)


def open_observations(
    config: MethodConfig, game: Environment, data: Trajectories, path: Path
) -> ObservationStore:
    """What the method of `config` observes of `data`; PipelineError where they do not fit."""
    if fault := game.actions.fault(data.actions):
        raise PipelineError(
            f"{data.source}: {fault}; check that the data set names the right environment"
        )
    return open_store(config.policy.observed, path, data, config.training.cache_memory_mb)


def _check_rewards(config: MethodConfig, windows: Windows, seed: int) -> None:
    """PipelineError where nothing can be learned from the rewards of single steps."""
    data, needed = windows.trajectories, config.training.batch_size
    if not data.rewards.any():
        raise PipelineError(
            f"{data.source}: every reward is 0, and {config.method} learns from rewards; choose a "
            "method that clones behaviour, or data with rewards"
        )
    steps = split_steps(windows, config.training, seed)[0]
    if (found := len(windows.drawn_from(steps))) < needed:
        raise PipelineError(
            f"{data.source}: {found} transitions to train on, fewer than a batch of {needed}; "
            "lower training.batch_size, or record more episodes"
        )


def _trunk(learner: Learner, method: str) -> Transformer:
    """The transformer that a language model's layers go into."""
    for module in learner.modules():
        if isinstance(module, Transformer):
            return module
    raise PipelineError(f"policy.initial_weights: {method} has no transformer to begin with layers")
