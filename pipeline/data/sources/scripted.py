"""The `scripted` source: a scripted agent plays, with a share of random actions (toy environments).

The environment's module offers `expert_action(environment) -> int`. Episode i is reset with seed
`SEEDS_APART · seed + i` and takes the i-th epsilon of the schedule, over and over.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import trange

from pipeline import environments
from pipeline.config import plugins
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.config.section import SEEDS_APART
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError

READS = ("episodes", "seed", "max_epsilon")
EPSILONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0)


def collect(config: DatasetConfig, environment: EnvironmentConfig, resources: Path) -> Trajectories:
    """Play `config.episodes` episodes; `resources` is not used.

    Raises PipelineError if the family has no scripted agent or the number of episodes is not 1 to
    1000 (more would reuse the seeds of the next).
    """
    module = plugins.load("environments", environment.family)
    if not hasattr(module, "expert_action"):
        raise PipelineError(f"environment family {environment.family!r} has no scripted agent")
    if not 1 <= config.episodes <= SEEDS_APART:
        raise PipelineError(f"dataset: episodes: {config.episodes}; allowed: 1 to 1000")
    game = environments.make(environment)
    epsilons = [epsilon for epsilon in EPSILONS if epsilon <= config.max_epsilon]
    generator = np.random.default_rng(config.seed)
    episodes = []
    for i in trange(config.episodes, desc="episodes played", unit="episode", leave=False):
        noops = int(generator.integers(0, environment.max_noops + 1))
        game.reset(seed := SEEDS_APART * config.seed + i, noops)
        epsilon = epsilons[i % len(epsilons)]
        played = _play(module, game, epsilon, config.max_episode_steps, generator)
        episodes.append({"seed": seed, "noops": noops, "epsilon": epsilon, **played})
    source = f"played by the scripted agent (seed {config.seed})"
    return _concatenate(episodes, source, environments.serves(environment))


def _play(
    module: Any,
    game: environments.Environment,
    epsilon: float,
    max_steps: int,
    generator: np.random.Generator,
) -> dict[str, Any]:
    actions: list[int] = []
    rewards: list[float] = []
    terminated = False
    while not terminated and len(actions) < max_steps:
        action = int(module.expert_action(game))
        if generator.random() < epsilon:
            action = int(generator.integers(game.actions.size))
        reward, terminated = game.step(action)
        actions.append(action)
        rewards.append(reward)
    digest = hashlib.sha256(game.state().tobytes()).hexdigest()
    return {"actions": actions, "rewards": rewards, "terminated": terminated, "sha256": digest}


def _concatenate(episodes: list[dict[str, Any]], source: str, served: bool) -> Trajectories:
    def column(name: str, kind: type) -> NDArray[Any]:
        return np.array([episode[name] for episode in episodes], kind)

    return Trajectories(
        actions=np.concatenate([episode["actions"] for episode in episodes]).astype(np.int64),
        rewards=np.concatenate([episode["rewards"] for episode in episodes]).astype(np.float32),
        episode_length=np.array([len(episode["actions"]) for episode in episodes], np.int64),
        terminated=column("terminated", np.bool_),
        score=np.array([sum(episode["rewards"]) for episode in episodes], np.float64),
        seed=column("seed", np.int64),
        noops=column("noops", np.int64),
        epsilon=column("epsilon", np.float64),
        served=np.full(len(episodes), True) if served else None,
        state_sha256=tuple(episode["sha256"] for episode in episodes),
        source=source,
    )
