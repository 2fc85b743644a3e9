"""Made-up episodes and observations of any kind, for where only shapes, devices and times count:
any method of `pipeline/methods` can be built and trained on them, at any size.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config import plugins
from pipeline.config.methods import own, settings_class
from pipeline.config.schema import MethodConfig
from pipeline.data.statistics import statistics
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.methods import Learner, Spec, make
from pipeline.observations import Observation, ObservationStore
from pipeline.observations.pixels import SIZE, STACK
from pipeline.observations.states import StateStore
from pipeline.observations.windows import Windows, default_return_scale

GAME = ActionSpace(("NOOP", "FIRE", "RIGHT", "LEFT"))
ROBOT = ActionSpace(("a", "b", "c"), continuous=True, low=(-1.0,) * 3, high=(1.0,) * 3)
STATE = 11
EPISODE = 50
DISTINCT = 64
"""Different observations; steps that are so far apart look the same."""


@dataclass(frozen=True)
class Sizes:
    """Of data that are made up."""

    text: int = 6
    """Tokens of the prompt."""
    regions: int = 8
    width: int = 32
    """Of a token."""
    episodes: int = 4
    """Of EPISODE steps each."""


class RandomStore:
    """Observations that depend on the step alone."""

    def __init__(self, steps: int, observation: Observation) -> None:
        self.steps, self._observation = steps, observation
        self.shape = {name: tuple(x.shape[1:]) for name, x in observation.items()}

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        """Observations of `steps` (B, S); negative steps give zeros."""
        rows = torch.from_numpy(steps)
        gathered = {name: x[rows % DISTINCT] for name, x in self._observation.items()}
        for x in gathered.values():
            x[rows < 0] = 0
        return gathered


class TokenStore(RandomStore):
    """Tokens as the feature cache has them; where `states` are given, those as well."""

    def __init__(self, steps: int, sizes: Sizes, states: StateStore | None = None) -> None:
        tokens = sizes.text + sizes.regions
        mask = torch.rand(DISTINCT, tokens) < 0.8
        mask[:, 0] = mask[:, sizes.text] = True
        seen = {
            "tokens": torch.randn(DISTINCT, tokens, sizes.width).half() * mask[..., None],
            "mask": mask,
            "pooled": torch.randn(DISTINCT, 2, sizes.width),
        }
        super().__init__(steps, seen)
        self._states = states
        self.attributes = {
            "text_tokens": sizes.text,
            "token_mean": np.zeros((2, sizes.width), np.float32),
            "token_std": np.ones((2, sizes.width), np.float32),
        }
        if states is not None:
            self.shape |= states.shape
            self.attributes |= states.attributes

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        """See RandomStore."""
        return super().gather(steps) | (self._states.gather(steps) if self._states else {})


class FrameStore(RandomStore):
    """Stacked grey frames of noise."""

    def __init__(self, steps: int) -> None:
        frames = torch.randint(0, 256, (DISTINCT, STACK, SIZE, SIZE), dtype=torch.uint8)
        super().__init__(steps, {"frames": frames})
        self.attributes = {
            "pixel_mean": np.full((SIZE, SIZE), 127.5, np.float32),
            "pixel_std": 73.9,
        }


def readers() -> Iterator[tuple[str, str]]:
    """Every method, with every kind of observation that it can read."""
    for method in plugins.names("methods"):
        for kind in settings_class(method).observations:
            yield method, kind


def settings(method: str, kind: str, **policy: object) -> MethodConfig:
    """Settings of a method, which takes those of `policy` that it has."""
    chosen = own(method, {**policy, "observation": kind})
    return MethodConfig.model_validate({"method": method, "policy": chosen})


def built(config: MethodConfig, sizes: Sizes, device: str = "cpu") -> tuple[Learner, Windows]:
    """A new learner on `device`, and windows of random data for it: always the same ones.

    What reads state vectors has continuous actions, if it takes them. Raises PipelineError where
    the method takes no kind of actions, or reads what nothing is made up for.
    """
    kind, refusals = config.policy.observed, list[str]()
    for space in (ROBOT, GAME) if "states" in kind else (GAME, ROBOT):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            data = trajectories(sizes.episodes, space)
            store, scale = _store(kind, data, sizes), default_return_scale(data)
            known = {**statistics(data), **store.attributes}
            known |= {"trajectories": data, "return_scale": scale}
            try:
                learner = make(config, Spec(("Noise",), (space,), store.shape, known))
            except PipelineError as refusal:
                refusals.append(str(refusal))
                continue
        return learner.to(device), Windows(data, store, space, scale, config.policy, device)
    raise PipelineError(f"{config.method} on {kind}: {'; '.join(refusals)}")


def trajectories(episodes: int, space: ActionSpace) -> Trajectories:
    """Episodes of noise with state vectors; every second one was cut."""
    generator, steps = np.random.default_rng(0), episodes * EPISODE
    rewards = generator.normal(size=steps).astype(np.float32)
    actions: NDArray[np.generic] = generator.integers(0, space.size, steps)
    if space.continuous:
        actions = generator.uniform(space.low, space.high, (steps, space.size)).astype(np.float32)
    return Trajectories(
        actions=actions,
        rewards=rewards,
        episode_length=np.full(episodes, EPISODE),
        terminated=np.arange(episodes) % 2 == 0,
        score=rewards.astype(np.float64).reshape(episodes, EPISODE).sum(axis=1),
        source="noise",
        observations=generator.normal(size=(steps, STATE)).astype(np.float32),
    )


def _store(kind: str, data: Trajectories, sizes: Sizes) -> ObservationStore:
    steps = len(data.actions)
    if kind == "pixels":
        return FrameStore(steps)
    if kind == "states":
        return StateStore(data)
    if kind == "embeddings":
        return TokenStore(steps, sizes)
    if kind == "embeddings_and_states":
        return TokenStore(steps, sizes, StateStore(data))
    raise PipelineError(f"no random data of the kind {kind}; add it to benchmarks/_random_data.py")
