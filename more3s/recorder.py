"""Record play, by a person or an agent, in the format of the recordings that the pipeline trains
on (resources/demonstrations/README.md).
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from more3s.environment import Observation, PipelineEnv
from pipeline import environments
from pipeline.config import plugins
from pipeline.config.schema import DatasetConfig
from pipeline.data import frames, trajectories
from pipeline.environments.action_space import Action
from pipeline.errors import PipelineError
from pipeline.io.atomic import replacing


@dataclass
class _Episode:
    """What is kept of an episode as it is played."""

    seed: int
    noops: int
    actions: list[Any] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    observations: list[NDArray[np.float32]] = field(default_factory=list)
    states: list[NDArray[Any]] = field(default_factory=list)
    """A robot's positions at every step."""
    terminated: bool = False
    sha256: str = ""
    """Of the machine's memory after the last action."""


class Recorder(gymnasium.Wrapper[Observation, Action, Observation, Action]):
    """Wraps an environment of `make` and remembers its episodes; `save` writes them.

    An episode that ends with a reset, or is going on when it is saved, is one that was cut.
    """

    def __init__(self, env: PipelineEnv, policy: str = "player", randomness: float = 0.0) -> None:
        """`policy` says who plays. `randomness` is the share of random actions in a game, or the
        deviation of the noise in a robot's actions, as far as it is known.
        """
        if not isinstance(env, PipelineEnv):
            raise PipelineError(
                "Recorder: it records environments of more3s.make; put other wrappers around it"
            )
        super().__init__(env)
        self._env, self._policy, self._randomness = env, policy, randomness
        self._episodes: list[_Episode] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """As the environment's; a new episode is recorded."""
        observation, info = self._env.reset(seed=seed, options=options)
        self._episodes.append(_Episode(info["reset_seed"], info["noops"]))
        return observation, info

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """As the environment's."""
        if not self._episodes:
            raise PipelineError("step: no episode is recorded; call the Recorder's reset first")
        game = self._env.game
        observed, state = game.observation(), game.state()
        result = self._env.step(action)
        episode = self._episodes[-1]
        episode.actions.append(self._env.checked(action))
        episode.rewards.append(result[1])
        if observed is not None:
            episode.observations.append(observed)
            episode.states.append(state)
        episode.terminated = result[2]
        episode.sha256 = hashlib.sha256(game.state().tobytes()).hexdigest()
        return result

    def scores(self) -> list[float]:
        """Sum of the raw rewards of each episode so far."""
        return [float(sum(each.rewards)) for each in self._episodes]

    def save(self, path: str | Path) -> Path:
        """Write all episodes that have a step as `.npz`, whole or not at all.

        It is read and replayed as `collect_trajectories` and `render_frames` would do it, and
        PipelineError if they refuse it.
        """
        played, place = [each for each in self._episodes if each.actions], Path(path)
        if not played:
            raise PipelineError(f"{place}: nothing was played; nothing is written")
        robot = bool(played[0].observations)
        content = self._robots(played) if robot else self._games(played)
        with replacing(place) as temporary:
            with temporary.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **self._all(played), **content)
            try:
                self._check(temporary, "recorded_states" if robot else "recorded", played)
            except PipelineError as error:
                raise PipelineError(str(error).replace(str(temporary), str(place))) from None
        return place

    def _all(self, played: list[_Episode]) -> dict[str, NDArray[Any]]:
        """What recordings of games and of robots have in common."""
        return {
            "rewards": np.concatenate([each.rewards for each in played]).astype(np.float32),
            "episode_length": np.array([len(each.actions) for each in played], np.int32),
            "score": np.array([sum(each.rewards) for each in played], np.float32),
            "seed": np.array([each.seed for each in played], np.int32),
            "policy": np.array([self._policy] * len(played)),
            "terminated": np.array([each.terminated for each in played]),
        }

    def _games(self, played: list[_Episode]) -> dict[str, NDArray[Any]]:
        config, game = self._env.config, self._env.game
        meta = {
            "game": config.game,
            "env": self._id(),
            "frameskip": f"{config.frame_skip} emulator frames per action",
            "repeat_action_probability": config.sticky_actions,
            "full_action_space": False,
            "action_meanings": list(game.actions.names),
            **game.versions,
        }
        return {
            "actions": np.concatenate([each.actions for each in played]).astype(np.uint8),
            "noops": np.array([each.noops for each in played], np.int32),
            "epsilon": np.full(len(played), self._randomness, np.float32),
            "served": np.full(len(played), environments.serves(config)),
            "ram_sha256": np.array([each.sha256 for each in played]),
            "meta": np.array(json.dumps(meta)),
        }

    def _robots(self, played: list[_Episode]) -> dict[str, NDArray[Any]]:
        from pipeline.environments.mujoco import MujocoEnvironment  # games do without the simulator

        game = self._env.game
        assert isinstance(game, MujocoEnvironment)
        positions = np.concatenate([each.states for each in played])  # (T, positions)
        hidden = positions[:, : game.hidden].astype(np.float32)
        meta = {"env": game.id, "gymnasium": gymnasium.__version__}
        return {
            "actions": np.concatenate([each.actions for each in played]),
            "observations": np.concatenate([each.observations for each in played]),
            "root_x": hidden[:, 0] if game.hidden == 1 else hidden,
            "noise": np.full(len(played), self._randomness, np.float32),
            "meta": np.array(json.dumps(meta)),
        }

    def _id(self) -> str:
        """gymnasium's id of the game, if it has one."""
        family = plugins.load("environments", self._env.config.family)
        told = getattr(family, "specification", None)
        return str(told(self._env.config).id) if told else self._env.config.game

    def _check(self, path: Path, source: str, played: list[_Episode]) -> None:
        """Read and replay what was written, by the stages' own code."""
        config = self._env.config
        longest = max(len(each.actions) for each in played)
        dataset = DatasetConfig(
            environment="played", source=source, file=path.name, max_episode_steps=longest
        )
        read = trajectories.collect(dataset, config, path.parent)
        if read.qpos is None:  # a robot has been played again already
            with TemporaryDirectory() as folder:
                frames.render(read, config, Path(folder, "frames.h5"))


def record(bundle: Path, place: Path, episodes: int, first_seed: int) -> list[float]:
    """Let the policy of `bundle` play `episodes` episodes from reset seeds `first_seed` on, as its
    evaluation does, and write them to `place`; their scores.

    Raises PipelineError for a folder that is no bundle, and for reset seeds that evaluations play.
    """
    from more3s.agent import load  # loads torch

    agent = load(bundle)
    about, rule = agent.bundle, agent.bundle.method.evaluation
    if first_seed + episodes > rule.first_seed:
        raise PipelineError(
            f"record: {episodes} episodes from reset seed {first_seed}; evaluations play from "
            f"{rule.first_seed} on, and what they play must not be recorded; begin lower"
        )
    policy = f"{about.method.method} ({about.variant}) of {about.dataset}, seed {about.seed}"
    recorder = Recorder(agent.make(), policy, rule.epsilon)
    for seed in tqdm(range(first_seed, first_seed + episodes), desc="record", unit="episode"):
        observation, _ = recorder.reset(seed=seed)
        agent.reset(seed=seed)
        reward, over = 0.0, False
        while not over:
            action = agent.act(observation, reward)
            observation, reward, ended, cut, _ = recorder.step(action)
            over = ended or cut
    recorder.save(place)
    return recorder.scores()
