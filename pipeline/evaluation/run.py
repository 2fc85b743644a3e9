"""One run of stage two, from artefacts to results: which episodes are played, by which policy, and
what is written about them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline import environments
from pipeline.config import plugins
from pipeline.config.schema import EnvironmentConfig, EvaluationConfig, FeaturesConfig, MethodConfig
from pipeline.data.trajectories import Trajectories
from pipeline.environments import Environment
from pipeline.environments.action_space import ActionSpace, Numbering
from pipeline.errors import PipelineError
from pipeline.evaluation import stillness
from pipeline.evaluation.episodes import Episode, ended_as_recorded
from pipeline.evaluation.rollout import Player, PolicyPlayer, RandomPlayer, Recorder, play
from pipeline.io.atomic import replacing
from pipeline.methods import Learner
from pipeline.observations import Observer, ObserverInputs
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Description

SERVED, UNSERVED = "served (FIRE pressed for the player)", "not served"
"""Whether FIRE is pressed for the player where the game waits for it."""


@dataclass(frozen=True)
class EvaluationProtocol:
    """The episodes of one run: the same for every player that is compared."""

    environment: EnvironmentConfig
    evaluation: EvaluationConfig
    data: Trajectories
    """What was trained on; scores are compared with its mean, targets taken from it."""
    max_steps: int
    """An episode is cut here."""
    seed: int

    def __post_init__(self) -> None:
        """Raises PipelineError where an episode would have the reset seed of one that was trained
        on; see also `known_starts`.
        """
        recorded = set() if self.data.seed is None else set(self.data.seed.tolist())
        if known := recorded.intersection(self.evaluation.reset_seeds(self.seed)):
            first = self.evaluation.first_seed
            raise PipelineError(
                f"evaluation.first_seed: {first} gives run {self.seed} reset seed {min(known)}, "
                f"which {self.data.source} was recorded from; choose another"
            )

    def known_starts(self) -> list[int]:
        """Counts of no-ops that recorded episodes begin with, where those alone decide how an
        episode begins: a console without chance starts alike from every seed.
        """
        if self.data.noops is None:
            return []
        recorded = np.unique(self.data.noops).tolist()
        game, states = environments.make(self.environment), []
        for seed in (0, 1):
            game.reset(seed, recorded[0])
            states.append(game.state().copy())
        return recorded if np.array_equal(states[0], states[1]) else []

    def recorded_ends(self) -> list[tuple[float, int]]:
        """Score and length of the recorded episodes that were not cut."""
        over = self.data.terminated
        scores, lengths = self.data.score[over], self.data.episode_length[over]
        return list(zip(scores.tolist(), lengths.tolist(), strict=True))

    def games(self, times: int = 1) -> list[Environment]:
        """One environment for each episode, of the whole protocol `times` over."""
        count = times * self.evaluation.episodes
        return [environments.make(self.environment) for _ in range(count)]

    def play(
        self,
        player: Player,
        games: Sequence[Environment],
        temperature: float,
        recorder: Recorder | None = None,
        epsilon: float = 0,
    ) -> list[Episode]:
        """Play all episodes in lock-step; with games for several times the protocol, each time from
        the same starts.
        """
        seeds = self.evaluation.reset_seeds(self.seed)
        seeds *= len(games) // len(seeds)
        longest = self.environment.max_noops, self.max_steps
        return play(player, games, seeds, *longest, temperature, recorder, epsilon)

    def _serving(self) -> dict[str, str]:
        """Who presses FIRE where the game waits for it, in play and in the data; empty where none
        waits.
        """
        if not environments.serves(self.environment.model_copy(update={"serve": True})):
            return {}
        recorded = self.data.served
        share = 0 if recorded is None else recorded.mean()
        return {
            "played": SERVED if self.environment.serve else UNSERVED,
            "recorded": {0: UNSERVED, 1: SERVED}.get(share, f"served in {share:.0%} of episodes"),
        }

    def describe(
        self,
        played: Sequence[Episode],
        weights: str,
        sampling: str,
        target: float | None,
        versions: dict[str, str],
        settings: dict[str, Any],
    ) -> dict[str, Any]:
        """The content of run.json: what a table has to say about a run."""
        environment = self.environment
        rules = f"sticky {environment.sticky_actions:g}, up to {environment.max_noops} no-ops"
        serving, starts = self._serving(), self.known_starts()
        recorded = self.recorded_ends() if starts else []  # else no course can be followed
        return {
            "weights": weights,
            "data_source": self.data.source,
            "sampling": ", ".join((sampling, rules, *([serving["played"]] if serving else []))),
            "serving": serving,
            "versions": {**versions, "torch": torch.__version__, "numpy": np.__version__},
            "data_mean": float(self.data.score.mean()),
            "data_max": float(self.data.score.max()),
            "target_return": target,
            "max_episode_steps": self.max_steps,
            "still_limit": stillness.limit(environments.make(self.environment)),
            "known_starts": starts,
            "ended_as_recorded": ended_as_recorded(played, recorded),
            "settings": settings,
        }


@dataclass(frozen=True)
class LoadedPolicy:
    """A trained policy with its eyes, to be played."""

    policy: Learner
    """On `device`."""
    description: Description
    observer: Observer
    device: str = "cpu"
    task: int = 0
    """Which of its games is played, where it has several."""

    @property
    def weights(self) -> str:
        """Which weights it acts with, for tables."""
        return self.description.weights_on(self.task)

    @property
    def actions(self) -> ActionSpace:
        """Of the game that is played."""
        return ActionSpace.from_dict(self.description.actions[self.task])

    def player(self, episodes: int, target: float | NDArray[np.float64]) -> PolicyPlayer:
        """It plays `episodes` in lock-step, asked for `target` return: one for all, or one each."""
        told, joint = self.description.of(self.task), self.description.joint
        numbering = None
        if joint is not None:
            numbering = Numbering(self.actions, ActionSpace.from_dict(joint))
        played = target, told["return_scale"], self.device, self.task, numbering
        return PolicyPlayer(self.policy, self.observer, episodes, *played)


def load_policy(
    path: Path, config: MethodConfig, inputs: ObserverInputs, task: str | None = None
) -> LoadedPolicy:
    """The policy of the checkpoint at `path`, with the observer that it was trained for; one of
    several games plays the one that `task` names.

    Raises PipelineError if what that needs is not given, or if it was trained on other features or
    not on this game.
    """
    policy, description = checkpoint.load(path, config, inputs.device)
    try:
        number = description.task(task)
    except PipelineError as error:
        raise PipelineError(f"{path}: {error}") from None
    features = inputs.features
    trained_on = description.of(number).get("features", features.model_dump())
    if FeaturesConfig.model_validate(trained_on) != features:
        raise PipelineError(f"{path}: trained on other features than --features; train it again")
    observer = plugins.load("observations", description.observation).open_observer(inputs)
    return LoadedPolicy(policy, description, observer, inputs.device, number)


def play_policy(
    protocol: EvaluationProtocol, loaded: LoadedPolicy, recorder: Recorder | None = None
) -> tuple[list[Episode], dict[str, Any]]:
    """Play a trained policy over the protocol; episodes and the run's description."""
    games, evaluation = protocol.games(), protocol.evaluation
    target = target_return(evaluation, protocol.data)
    rule = evaluation.temperature, recorder, evaluation.epsilon
    episodes = protocol.play(loaded.player(len(games), target), games, *rule)
    sampling = _sampling(evaluation, games[0].actions.continuous)
    shown = target if loaded.policy.settings.uses_returns else None
    told = loaded.description
    features = told.of(loaded.task).get("features")  # what the name stands for
    # With what only play depends on, which a checkpoint does not know.
    parts = {"policy": loaded.policy.settings, "evaluation": evaluation}
    played = {name: part.model_dump(mode="json") for name, part in parts.items()}
    settings = {**told.method, **played, "features": features}
    learned_steps = loaded.policy.settings.learned_steps
    settings |= {"observation": told.observation, "learned_steps": learned_steps}
    if told.joint is not None:
        settings["trained_together"] = told.tasks
    rest = loaded.weights, sampling, shown, games[0].versions, settings
    return episodes, protocol.describe(episodes, *rest)


def _sampling(evaluation: EvaluationConfig, continuous: bool) -> str:
    """How a policy's actions are chosen, as tables say it."""
    temperature = evaluation.temperature
    rule = f"temperature {temperature:g}" if temperature else "arg-max (temperature 0)"
    return f"{'predicted action' if continuous else rule}, epsilon {evaluation.epsilon:g}"


def play_random(protocol: EvaluationProtocol) -> tuple[list[Episode], dict[str, Any]]:
    """Play uniformly random actions over the protocol; episodes and the run's description."""
    games = protocol.games()
    player = RandomPlayer(games[0].actions, protocol.evaluation.reset_seeds(protocol.seed))
    played = protocol.play(player, games, temperature=1)
    rest = "none", "uniform", None, games[0].versions
    return played, protocol.describe(played, *rest, settings={})


def target_return(config: EvaluationConfig, trajectories: Trajectories) -> float:
    """R̂ at the start of an episode, as a number."""
    if config.target_return == "data_max":
        return float(trajectories.score.max())
    if config.target_return == "data_mean":
        return float(trajectories.score.mean())
    return float(config.target_return)


def write_run(path: Path, run: dict[str, Any]) -> None:
    """Write run.json, whole or not at all."""
    with replacing(path) as temporary:
        text = json.dumps(run, indent=2, sort_keys=True, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
