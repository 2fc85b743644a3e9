"""A game or a robot as a `gymnasium.Env`, played by the pipeline's rules: frame skip, sticky
actions, no-op starts and the cut of an episode are those that policies are evaluated under.
"""

from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from more3s._configuration import rules
from pipeline import environments
from pipeline.config.data import MOST_NOOPS
from pipeline.config.schema import EnvironmentConfig
from pipeline.config.section import LARGEST_SEED
from pipeline.environments import Environment, Frame
from pipeline.environments.action_space import Action
from pipeline.errors import PipelineError, unknown_name
from pipeline.evaluation.draws import Draws

Observe = Literal["frame", "state", "both"]
Observation = NDArray[Any] | dict[str, NDArray[Any]]
"""A frame (H, W, 3) uint8, a state vector (D,) float32, or both by these names."""


class PipelineEnv(gymnasium.Env[Observation, Action]):
    """See `make`."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self,
        config: EnvironmentConfig,
        max_episode_steps: int,
        observe: Observe | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise PipelineError(f"render_mode {render_mode!r}; allowed: None, 'rgb_array'")
        if observe not in (None, *get_args(Observe)):
            allowed = ", ".join(map(repr, get_args(Observe)))
            raise PipelineError(f"observe {observe!r}; allowed: None, {allowed}")
        if max_episode_steps < 1:
            raise PipelineError(f"max_episode_steps {max_episode_steps}; allowed: 1 or more")
        self.config, self.max_episode_steps = config, max_episode_steps
        self.game: Environment = environments.make(config)
        self.action_names = self.game.actions.names
        """Of the actions, in the order of their indices; or of the components of a vector."""
        self.render_mode = render_mode
        self.action_space = self._actions()
        self._steps: int | None = None  # None: no episode is played
        self.game.reset(0, 0)
        self.observe: Observe = observe or ("frame" if self.game.observation() is None else "state")
        self.observation_space = self._observations()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode: from reset seed `seed`, which an evaluation's episodes name; drawn if
        none is given. It decides the number of no-ops too, unless `options` has `noops`.
        """
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(LARGEST_SEED)) if seed is None else seed
        if not 0 <= drawn <= LARGEST_SEED:
            raise PipelineError(f"reset: seed {drawn}; allowed: 0 to {LARGEST_SEED:,}")
        told = {"noops": Draws(drawn, self.config.max_noops).noops, **(options or {})}
        noops = told.pop("noops")
        if not isinstance(noops, int | np.integer) or not 0 <= noops <= MOST_NOOPS:
            raise PipelineError(f"reset: noops {noops!r}; allowed: 0 to {MOST_NOOPS:,}")
        if told:
            raise PipelineError(f"reset: {unknown_name('option', next(iter(told)), ['noops'])}")
        noops = int(noops)
        self.game.reset(drawn, noops)
        self._steps = 0
        info = {"reset_seed": drawn, "noops": noops, "action_names": self.action_names}
        return self._observation(), info

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take one action; `info["action"]` says it in words.

        Raises PipelineError for an action that there is none of, and where no episode is played.
        """
        if self._steps is None:
            raise PipelineError("step: no episode is played; call reset first")
        taken = self.checked(action)
        reward, terminated = self.game.step(taken)
        self._steps += 1
        truncated = not terminated and self._steps >= self.max_episode_steps
        if terminated or truncated:
            self._steps = None
        info = {"action": self.game.actions.caption(taken)}
        return self._observation(), float(reward), bool(terminated), truncated, info

    def checked(self, action: Action) -> Action:
        """An action as the environment takes it; PipelineError, with those allowed, for another."""
        space = self.game.actions
        given = np.asarray(action)
        whole = given.dtype.kind in "iu" or space.continuous
        taken = given.astype(space.dtype) if whole and given.dtype.kind in "iuf" else given
        if fault := space.fault(taken[None]):
            raise PipelineError(f"step: {fault}")
        return taken if space.continuous else int(taken)

    def render(self) -> Frame | None:
        """The frame (H, W, 3) uint8; None unless `render_mode` is `rgb_array`."""
        return self.game.frame() if self.render_mode else None

    def _observation(self) -> Observation:
        if self.observe == "frame":
            return self.game.frame()
        state = self.game.observation()
        if state is None:
            raise PipelineError(f"{self.config.game} has no state vector; observe: 'frame'")
        return state if self.observe == "state" else {"frame": self.game.frame(), "state": state}

    def _observations(self) -> spaces.Space[Any]:
        """Of what the first episode begins with."""
        shown = self._observation()
        if isinstance(shown, dict):
            return spaces.Dict({name: _box(array) for name, array in shown.items()})
        return _box(shown)

    def _actions(self) -> spaces.Space[Any]:
        space = self.game.actions
        if not space.continuous:
            return spaces.Discrete(space.size)
        low, high = np.array(space.low, np.float32), np.array(space.high, np.float32)
        return spaces.Box(low, high, dtype=np.float32)


def _box(array: NDArray[Any]) -> spaces.Box:
    if array.dtype == np.uint8:
        return spaces.Box(0, 255, array.shape, np.uint8)
    return spaces.Box(-np.inf, np.inf, array.shape, np.float32)


def make(
    name: str,
    observe: Observe | None = None,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
) -> PipelineEnv:
    """The environment of a data set or an environment of the configuration, by its file's name.

    `observe`: a game shows its frame, a robot its state vector, unless told otherwise; to draw a
    robot takes OpenGL. `max_episode_steps` takes the place of the configured cut. Raises
    PipelineError for an unknown name, listing those that there are.
    """
    found = rules(name)
    steps = found.max_episode_steps if max_episode_steps is None else max_episode_steps
    return PipelineEnv(found.environment, steps, observe, render_mode)
