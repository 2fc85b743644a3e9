"""Robots of gymnasium's MuJoCo environments, version -v5: `game: Hopper` is Hopper-v5.

What happens is gymnasium's; what is seen is drawn by `_mujoco_rendering` from the positions of the
joints alone, when it is asked for. Continuous actions, one torque per joint; the state vector that
agents are usually given is `observation`. An episode's start depends on its seed alone.
"""

import copy
import difflib
import inspect
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from pipeline.config.schema import EnvironmentConfig
from pipeline.environments import Frame, _mujoco_rendering
from pipeline.environments._mujoco_library import mujoco
from pipeline.environments.action_space import Action, ActionSpace
from pipeline.errors import PipelineError, unknown_name

VERSION = "v5"
CONTINUOUS = True
"""Actions are vectors; the process that runs Snakemake reads it from source."""
STATES = True
"""There are state vectors; read likewise."""
TORSO = 1
"""The first body after the world."""


class MujocoEnvironment:
    """One robot; see `pipeline.environments.Simulator`."""

    def __init__(self, config: EnvironmentConfig) -> None:
        self.id = find(config.game)
        self._config = config
        self._robot = _make(config)
        self._check()
        self._model: mujoco.MjModel = self._robot.model
        self.step_seconds = float(self._robot.dt)
        self._data: mujoco.MjData = self._robot.data
        bounds = self._robot.action_space
        self.actions = ActionSpace(
            tuple(self._joint(i) for i in range(self._model.nu)),
            continuous=True,
            low=tuple(bounds.low.tolist()),
            high=tuple(bounds.high.tolist()),
        )
        self.versions = {
            "gymnasium": gymnasium.__version__,
            "mujoco": mujoco.__version__,
            "environment": self.id,
        }
        self._observation = np.zeros(self.observed, np.float32)
        self._frame: Frame | None = None

    @property
    def observed(self) -> int:
        """D: numbers of the state vector."""
        (size,) = self._robot.observation_space.shape
        return int(size)

    @property
    def hidden(self) -> int:
        """How many positions, the first ones, are left out of the state vector."""
        return int(self._layout["skipped_qpos"])

    def reset(self, seed: int, noops: int) -> None:
        """Start an episode; `noops` is 0."""
        if noops:
            raise PipelineError(f"{self.id}: no-op starts: a robot has none; set max_noops to 0")
        observation, _ = self._robot.reset(seed=seed)
        self._moved(observation)

    def step(self, action: Action) -> tuple[float, bool]:
        """Apply torques (size,) float32 for `frame_skip` simulator steps: reward, fallen.

        Raises PipelineError for an action that is out of bounds or NaN, or where the simulation
        becomes unstable.
        """
        torques = np.asarray(action)
        if fault := self.actions.fault(torques[None]):
            raise PipelineError(f"{self.id}: {fault}")
        observation, reward, terminated, *_ = self._robot.step(torques)
        if self._data.warning.number.any():
            # the simulator starts from its first state again, as if nothing had happened
            raise PipelineError(f"{self.id}: the simulation became unstable under {torques}")
        self._moved(observation)
        return float(reward), bool(terminated)

    def frame(self) -> Frame:
        """The robot from the side, (size, size, 3)."""
        if self._frame is None:
            self._frame = self.show(self._data.qpos)
        return self._frame

    def observation(self) -> NDArray[np.float32]:
        """The state vector (D,)."""
        return self._observation

    def state(self) -> NDArray[np.float64]:
        """The positions of the joints, (positions,)."""
        qpos: NDArray[np.float64] = self._data.qpos.copy()
        return qpos

    def torso(self) -> tuple[NDArray[np.float64], float]:
        """Place of the torso (3,) in metres, and how upright it is: 1 as the model is built, -1 on
        its back.
        """
        place: NDArray[np.float64] = self._data.xpos[TORSO].copy()
        return place, float(self._data.xmat[TORSO, 8])

    def show(self, qpos: NDArray[Any]) -> Frame:
        """The frame of other positions (positions,); the episode goes on where it was.

        Raises PipelineError for positions of another robot, and where nothing can be drawn.
        """
        if qpos.shape != (self._model.nq,):
            raise PipelineError(
                f"positions {qpos.shape}, but {self.id} has ({self._model.nq},); "
                "check that the data set names the right environment"
            )
        return _mujoco_rendering.draw(self._robot.fullpath, self._config.rendering, qpos)

    def positions(
        self, observations: NDArray[np.float32], hidden: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Positions (T, positions) from state vectors (T, D) and what they leave out (T, hidden),
        zeros if that is not known.

        Raises PipelineError where the numbers are not those of this robot.
        """
        if hidden is None:
            hidden = np.zeros((len(observations), self.hidden), np.float32)
        found = (observations.shape[1:], hidden.shape[1:])
        if found != ((self.observed,), (self.hidden,)):
            raise PipelineError(
                f"state vectors {found[0]} with {found[1]} further positions, but {self.id} in "
                f"gymnasium {gymnasium.__version__} has ({self.observed},) and ({self.hidden},)"
            )
        seen = observations[:, : self._model.nq - self.hidden]
        return np.concatenate([hidden, seen], axis=1).astype(np.float32)  # (T, positions)

    def _moved(self, observation: NDArray[np.float64]) -> None:
        self._observation = observation.astype(np.float32)
        self._frame = None

    @property
    def _layout(self) -> dict[str, int]:
        layout = getattr(self._robot, "observation_structure", None)
        if not layout or "skipped_qpos" not in layout:
            raise PipelineError(
                f"{self.id}: gymnasium does not say where the positions are in its state vector; "
                "give trajectories with positions of their own"
            )
        found: dict[str, int] = layout
        return found

    def _joint(self, actuator: int) -> str:
        """What an actuator moves, e.g. "thigh"."""
        model = self._model
        name = model.actuator(actuator).name or model.joint(model.actuator_trnid[actuator, 0]).name
        return str(name).removesuffix("_joint")

    def _check(self) -> None:
        for key, allowed in {
            "frame_skip": self._robot.frame_skip,
            "max_noops": 0,
            "sticky_actions": 0,
            "screen": "maximum",
        }.items():
            if (given := getattr(self._config, key)) != allowed:
                raise PipelineError(
                    f"{self.id}: {key}: {given}; set it to {allowed} in the environment's file"
                )


def _make(config: EnvironmentConfig) -> Any:
    """gymnasium's environment without its wrappers: a class without a type of its own."""
    where = f"{find(config.game)}: options"
    known = defaults(config)
    for key, value in config.options.items():
        if key not in known:  # gymnasium's own, such as render_mode, would open a window
            settable = [name for name, default in known.items() if _kind(default) is not None]
            raise PipelineError(f"{where}: {unknown_name('key', key, settable)}")
        if _kind(value) != _kind(known[key]):
            raise PipelineError(
                f"{where}: {key}: {value!r} is of another kind than its default, "
                f"{known[key]!r}; correct the environment's file"
            )
    try:
        given: dict[str, Any] = {**config.options}
        robot = gymnasium.make(find(config.game), **given).unwrapped
        if config.options:
            robot.reset(seed=0)  # where some values are first used
    except (TypeError, ValueError, OSError) as error:
        cause = " ".join(str(error).split())
        raise PipelineError(f"{where}: {cause}; correct the environment's file") from None
    return robot


def _kind(value: object) -> type | int | None:
    """What a setting can be exchanged for: its type, any number, or as many numbers in a list."""
    if isinstance(value, list | tuple):
        return len(value)
    if isinstance(value, bool | str):
        return type(value)
    return float if isinstance(value, int | float) else None


def build(config: EnvironmentConfig) -> MujocoEnvironment:
    """Build the robot; raises PipelineError for an unknown one, or for settings it cannot have."""
    return MujocoEnvironment(config)


def games() -> dict[str, str]:
    """Every robot that gymnasium has, name → id of its environment."""
    return {
        spec.name: spec.id
        for spec in gymnasium.registry.values()
        if "envs.mujoco" in str(spec.entry_point) and spec.id.endswith(f"-{VERSION}")
    }


def specification(config: EnvironmentConfig) -> EnvSpec:
    """gymnasium's specification of the robot as it is played here."""
    found = copy.deepcopy(gymnasium.spec(find(config.game)))
    found.kwargs |= config.options
    return found


def longest_episode(config: EnvironmentConfig) -> int | None:
    """Steps after which gymnasium cuts an episode of this robot; None if it does not."""
    return gymnasium.spec(find(config.game)).max_episode_steps


def defaults(config: EnvironmentConfig) -> dict[str, Any]:
    """The settings of a robot's class, which `options` changes, and their values without that."""
    creator = gymnasium.envs.registration.load_env_creator(
        str(gymnasium.spec(find(config.game)).entry_point)
    )
    parameters = inspect.signature(creator).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


def find(game: str) -> str:
    """The id of a robot's environment; raises PipelineError with close matches."""
    known = games()
    if game not in known:
        close = difflib.get_close_matches(game, known, n=3, cutoff=0.5)
        names = ", ".join(close or sorted(known))
        hint = "did you mean" if close else "gymnasium has"
        raise PipelineError(f"unknown robot {game!r}; {hint}: {names}")
    return known[game]
