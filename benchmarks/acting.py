"""Closed-loop play on Breakout: steps per second, cached and in lock-step, against doing without.

The policy is randomly initialised MORE-3S of the default configuration behind the compact encoder
with its initial weights: the time does not depend on them. Variants: what the pipeline does; the
transformer run again over the whole window of embeddings at every step; frames, regions and LXMERT
of the whole window run again as well; and one episode at a time. `emulator` plays at random and is
the ceiling.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import _timing
from benchmarks._stages import GAME, configuration, stage_one, untrained
from pipeline import environments, methods
from pipeline.environments import Environment
from pipeline.evaluation.rollout import Player, PolicyPlayer, RandomPlayer, play
from pipeline.methods import SequencePolicy
from pipeline.observations import Observation, Observer, ObserverInputs, Situation
from pipeline.observations.batch import Batch
from pipeline.observations.embeddings import open_observer, open_store

TARGET, SCALE = 100.0, 100.0


@dataclass
class WindowPlayer:
    """Runs the policy over its whole window of M + K steps at every step, without any cache."""

    policy: SequencePolicy
    observer: Observer
    frames_too: bool
    """Encode the frames of the window again as well, instead of keeping their embeddings."""
    _seen: list[Situation] = field(default_factory=list)
    _kept: list[Observation] = field(default_factory=list)

    def decide(self, situation: Situation) -> NDArray[np.float64]:
        """Logits of the last step, from one pass over the window."""
        length = self.policy.memory_length + self.policy.context_length
        self._seen = [*self._seen, situation][-length:]
        fresh = self._seen if self.frames_too else self._seen[-1:]
        made = [self.observer.observe(s) for s in fresh]
        self._kept = made if self.frames_too else [*self._kept, *made][-length:]
        observation = {
            name: torch.cat([step[name] for step in self._kept], dim=1) for name in self._kept[0]
        }
        columns = [
            torch.from_numpy(np.stack([getattr(s, name) for s in self._seen], axis=1))
            for name in ("previous_actions", "returns")
        ]
        mask = observation["mask"]
        episodes, steps = mask.shape[:2]
        # `loss` is the pass over a window; its target is not needed, and zeros cost next to nothing
        observation["pooled"] = torch.zeros(episodes, steps, 2, observation["tokens"].shape[-1])
        batch = Batch(
            observation,
            torch.zeros_like(columns[0]),
            columns[0],
            (TARGET - columns[1]).float() / SCALE,
            torch.arange(situation.timestep - steps + 1, situation.timestep + 1).expand(
                mask.shape[:2]
            ),
            torch.ones(episodes, steps, dtype=torch.bool),
            max(0, steps - self.policy.context_length),
        )
        with torch.no_grad():
            _, parts = self.policy.loss(batch)
        return parts["action_logits"][:, -1].double().numpy()

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Games are cut before any of them ends."""
        raise SystemExit("a game ended: take fewer --steps")


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = _timing.parser(__doc__, repeats=3)
    parser.add_argument("--episodes", type=int, default=10, help="in lock-step (default: 10)")
    parser.add_argument("--steps", type=int, default=100, help="of each episode (default: 100)")
    chosen = parser.parse_args(arguments)
    _timing.start(chosen.threads)
    config = configuration()
    games = [environments.make(config.environments[GAME]) for _ in range(chosen.episodes)]
    actions = games[0].actions
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage_one(folder, 1000, chosen.threads)
        store = open_store(folder / "cache.h5")
        features = untrained(config.features["compact"])
        inputs = ObserverInputs(features, folder / "encoder", folder / "prompts.json")
        observer = open_observer(inputs)
        policy = methods.make(
            config.method("more3s", dataset=GAME), store.shape, store.attributes, actions
        )
    assert isinstance(policy, torch.nn.Module)
    policy.eval()

    def cached(episodes: int) -> PolicyPlayer:
        return PolicyPlayer(policy, observer, episodes, TARGET, SCALE)

    def together(player: Player) -> None:
        course(player, games, chosen.steps)

    def apart() -> None:
        for index, game in enumerate(games):
            course(cached(1), [game], chosen.steps, first_seed=index)

    seconds = _timing.medians(
        {
            "key/value cache, lock-step": lambda: together(cached(len(games))),
            "transformer over the window again": lambda: together(
                WindowPlayer(policy, observer, frames_too=False)
            ),
            "everything over the window again": lambda: together(
                WindowPlayer(policy, observer, frames_too=True)
            ),
            "key/value cache, one episode at a time": apart,
            "emulator": lambda: together(RandomPlayer(actions, range(len(games)))),
        },
        chosen.repeats,
    )
    base = seconds["key/value cache, lock-step"]
    total = chosen.episodes * chosen.steps
    rows: list[_timing.Row] = [
        {"what": what, "steps/s": total / time, "cached, lock-step is × as fast": time / base}
        for what, time in seconds.items()
    ]
    window = policy.memory_length + policy.context_length
    title = f"{chosen.episodes} episodes × {chosen.steps} steps, window {window}, random weights"
    _timing.report(f"Acting, MORE-3S on Breakout: {title}", rows, chosen.threads)


def course(player: Player, games: Sequence[Environment], steps: int, first_seed: int = 0) -> None:
    """Play the first `steps` steps of one episode in each game."""
    seeds = range(first_seed, first_seed + len(games))
    play(player, games, seeds, max_noops=30, max_steps=steps, temperature=1.0)


if __name__ == "__main__":
    main()
