"""A trained policy as an agent: it takes an observation and returns an action."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from more3s.environment import Observe, PipelineEnv
from pipeline.environments.action_space import Action
from pipeline.errors import PipelineError
from pipeline.evaluation import bundle as bundles
from pipeline.evaluation.bundle import Bundle
from pipeline.evaluation.draws import Draws
from pipeline.evaluation.run import LoadedPolicy
from pipeline.observations import LiveStep

ONE = np.zeros(1, np.int64)
"""The index of the only episode."""


class Agent:
    """Acts as `evaluate_policy` lets the policy act: for the same reset seed, observations and
    rewards it takes the same actions.
    """

    def __init__(self, bundle: Bundle, loaded: LoadedPolicy) -> None:
        self.bundle = bundle
        """What is known of the policy: environment, settings, scores."""
        self.actions = loaded.actions
        self._loaded = loaded
        self.reset()

    @property
    def action_names(self) -> tuple[str, ...]:
        """Of the actions, in the order of their indices; or of the components of a vector."""
        return self.actions.names

    @property
    def observes(self) -> Observe:
        """What it has to be shown."""
        shown = self.bundle.shown
        if shown.frame is None:
            return "state"
        return "frame" if shown.state is None else "both"

    def make(self, render_mode: str | None = None) -> PipelineEnv:
        """The environment that it was evaluated in, which shows what it observes."""
        rules = self.bundle.environment, self.bundle.max_episode_steps
        return PipelineEnv(*rules, self.observes, render_mode)

    def reset(self, target_return: float | None = None, seed: int = 0) -> None:
        """Begin an episode, asked for `target_return` (default: as evaluated); whatever chance
        decides is drawn from `seed`, the episode's reset seed.
        """
        target = self.bundle.target_return if target_return is None else target_return
        self._draws = Draws(seed, self.bundle.environment.max_noops)
        self._player = self._loaded.player(1, target)
        self._previous, self._return, self._timestep = self.actions.start(), 0.0, 0

    def act(self, observation: Any, reward: float = 0.0) -> Action:
        """The next action: an index, or a float32 vector (components,).

        Args:
            observation: as the environment shows it: a frame (H, W, 3) uint8 RGB, a state vector
                (D,), or a mapping of both by the names `frame` and `state`.
            reward: what the action before was paid, raw; 0 at the first step.

        Raises:
            PipelineError: what is missing of the observation, or wrong with it.
        """
        paid = self._paid(reward)
        live = _ShownStep(
            (),
            self._previous[None],
            np.array([paid], np.float32),
            np.array([self._return + paid]),
            ONE,
            self._timestep,
            lambda *shape: self._draws.noise(*shape)[None],
            *self._seen(observation),
        )
        rule = self.bundle.method.evaluation
        (decided,) = self._player.decide(live)
        action = self._draws.action(decided, self.actions, rule.temperature, rule.epsilon)
        self._previous = np.array(action, self.actions.dtype)
        self._return, self._timestep = self._return + paid, self._timestep + 1
        return action

    def export(self, path: str | Path) -> dict[str, tuple[int, ...]]:
        """Write the acting step as ONNX or for `torch.export.load`, by the file's ending `.onnx` or
        `.pt2`; the shapes of its inputs, for one episode. See docs/api.md.

        Raises PipelineError for another ending, without ONNX (`pip install 'more3s[export]'`), and
        for a policy whose step is no function of what it is given.
        """
        from more3s import export  # takes seconds to import

        told, rule = self._loaded.description.of(self._loaded.task), self.bundle.method.evaluation
        step = export.ActingStep(self._loaded.policy, self._shape(), told["return_scale"])
        about = {
            "method": self.bundle.method.method,
            "dataset": self.bundle.dataset,
            "actions": json.dumps(self.action_names),
            "target_return": repr(self.bundle.target_return),
            "temperature": repr(rule.temperature),
            "epsilon": repr(rule.epsilon),
        }
        return export.write(Path(path), step, about)

    def _shape(self) -> dict[str, tuple[int, ...]]:
        """Of what its observer gives: a live frame has all its regions, a stored one as many as the
        data needed, and the aims of training are not there.
        """
        told = self._loaded.description
        shape = {name: tuple(size) for name, size in told.shape.items() if name != "pooled"}
        if "tokens" in shape and self.bundle.features.storage == "tokens":
            count = told.attributes["text_tokens"] + self.bundle.features.detector.regions
            shape |= {"tokens": (count, *shape["tokens"][1:]), "mask": (count,)}
        return shape

    def _paid(self, reward: float) -> float:
        paid = float(reward)
        if not np.isfinite(paid):
            raise PipelineError(f"act: reward {paid}; give the reward of the previous action")
        if paid and self._timestep == 0:
            raise PipelineError(
                f"act: reward {paid:g} before the first action; call reset at an episode's start"
            )
        return paid

    def _seen(
        self, observation: Any
    ) -> tuple[NDArray[np.uint8] | None, NDArray[np.float32] | None]:
        """Frame and state vector of an observation, as far as they are needed; checked."""
        parts = (
            observation if isinstance(observation, Mapping) else {_kind(observation): observation}
        )
        frame, state = parts.get("frame"), parts.get("state")
        shown = self.bundle.shown
        if shown.frame is not None:
            frame = _checked("frame", frame, shown.frame, np.dtype(np.uint8), observation)
        if shown.state is not None:
            state = np.asarray(state, np.float32) if _is_vector(state) else state
            state = _checked("state", state, (shown.state,), np.dtype(np.float32), observation)
        return frame, state


@dataclass(frozen=True)
class _ShownStep(LiveStep):
    """A step of one episode of which no environment is known, only what it shows."""

    frame: NDArray[np.uint8] | None
    state: NDArray[np.float32] | None

    @cached_property
    def frames(self) -> NDArray[np.uint8]:
        assert self.frame is not None  # `Agent.act` has looked
        return self.frame[None]

    @cached_property
    def observations(self) -> NDArray[np.float32] | None:
        return None if self.state is None else self.state[None]


def load(folder: str | Path, device: str = "cpu") -> Agent:
    """The agent of a bundle, on `device` (`cpu`, `cuda`).

    Raises PipelineError naming the file that is missing, damaged, or no part of a bundle.
    """
    return Agent(*bundles.load(Path(folder), device))


def _kind(observation: Any) -> str:
    """What an array is: a vector has one axis."""
    return "state" if np.ndim(observation) == 1 else "frame"


def _is_vector(state: Any) -> bool:
    return state is not None and np.asarray(state).dtype.kind in "iuf"


def _checked(
    name: str, given: Any, shape: tuple[int, ...], dtype: np.dtype[Any], observation: Any
) -> NDArray[Any]:
    """A part of an observation; PipelineError if it is missing or of another kind."""
    wanted = f"{name} {shape} {dtype}{', RGB' if name == 'frame' else ''}"
    if given is None:
        if isinstance(observation, Mapping):
            found = f"a mapping of {', '.join(map(str, observation)) or 'nothing'}"
        else:
            array = np.asarray(observation)
            found = f"an array {array.shape} {array.dtype}"
        raise PipelineError(f"act: this policy observes {wanted}; it was given {found}")
    array = np.asarray(given)
    if array.shape != shape or array.dtype != dtype:
        raise PipelineError(
            f"act: this policy observes {wanted}; it was given {array.shape} {array.dtype}"
        )
    if name == "state" and not np.isfinite(array).all():
        raise PipelineError("act: the state vector holds NaN or infinity")
    return array
