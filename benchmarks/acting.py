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
from pipeline import environments
from pipeline.environments import Environment
from pipeline.evaluation.rollout import Player, PolicyPlayer, RandomPlayer, play
from pipeline.methods import Learner, Spec, make
from pipeline.observations import LiveStep, Observation, Observer, ObserverInputs
from pipeline.observations.batch import Batch
from pipeline.observations.embeddings import open_observer, open_store

TARGET, SCALE = 100.0, 100.0


@dataclass
class WindowPlayer:
    """Runs the policy over its whole window of M + K steps at every step, without any cache."""

    learner: Learner
    observer: Observer
    frames_too: bool
    """Encode the frames of the window again as well, instead of keeping their embeddings."""
    _seen: list[LiveStep] = field(default_factory=list)
    _kept: list[Observation] = field(default_factory=list)

    def decide(self, live: LiveStep) -> NDArray[np.float64]:
        """Logits of the last step, from one pass over the window."""
        length = self.learner.settings.memory + self.learner.settings.context_length
        self._seen = [*self._seen, live][-length:]
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
        # `read` is the pass over a window; its target is not needed, and zeros cost next to nothing
        observation["pooled"] = torch.zeros(episodes, steps, 2, observation["tokens"].shape[-1])
        nothing = torch.zeros(episodes, steps)
        batch = Batch(
            observation=observation,
            actions=torch.zeros_like(columns[0]),
            previous_actions=columns[0],
            rewards=nothing,
            previous_rewards=nothing,
            returns_to_go=(TARGET - columns[1]).float() / SCALE,
            timesteps=torch.arange(live.timestep - steps + 1, live.timestep + 1).expand(
                mask.shape[:2]
            ),
            terminal=nothing.bool(),
            mask=torch.ones(episodes, steps, dtype=torch.bool),
            task=torch.zeros(episodes, dtype=torch.int64),
            index=torch.arange(episodes),
            memory=max(0, steps - self.learner.settings.context_length),
        )
        with torch.no_grad():
            read, _ = self.learner.read(batch)
        assert read is not None
        return read[:, -1].double().numpy()

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
        spec = Spec((GAME,), (actions,), store.shape, store.attributes)
        policy = make(config.method("more3s", dataset=GAME), spec)
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
    window = policy.settings.memory + policy.settings.context_length
    title = f"{chosen.episodes} episodes × {chosen.steps} steps, window {window}, random weights"
    _timing.report(f"Acting, MORE-3S on Breakout: {title}", rows, chosen.threads)


def course(player: Player, games: Sequence[Environment], steps: int, first_seed: int = 0) -> None:
    """Play the first `steps` steps of one episode in each game."""
    seeds = range(first_seed, first_seed + len(games))
    play(player, games, seeds, max_noops=30, max_steps=steps, temperature=1.0)


if __name__ == "__main__":
    main()
