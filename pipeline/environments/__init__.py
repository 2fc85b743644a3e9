"""Environments: one file per family (`atari.py`, `mujoco.py`), replayed by `pipeline.data.frames`
and played by `pipeline.evaluation`. What happens and what is seen are apart: a frame is drawn when
it is asked for.

A family's module may offer `expert_action(environment) -> int`, a scripted agent for the `scripted`
source, `identify(config) -> dict[str, str]`, if it can tell more about itself than
`Environment.versions`, and `serves(config) -> bool`, if it may press a button for the player. It
says `CONTINUOUS = True` where actions are vectors, `STATES = True` where `observation` gives state
vectors, `STICKY = True` where it can repeat actions by chance, and in `FULL_ACTION_SET` what all
its games have at the most, in the order in which a policy of several games numbers them.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.config import plugins
from pipeline.config.schema import EnvironmentConfig
from pipeline.environments.action_space import Action, ActionSpace, joined
from pipeline.errors import PipelineError

Frame = NDArray[np.uint8]  # (height, width, 3), RGB


class Environment(Protocol):
    """One episode at a time; deterministic given seed, no-ops and actions."""

    actions: ActionSpace
    versions: dict[str, str]
    """What the outcome depends on, e.g. {"ale-py": "0.12.1", "rom_md5": "…"}."""

    def reset(self, seed: int, noops: int) -> None:
        """Start an episode and let `noops` emulator frames of NOOP pass."""
        ...

    def step(self, action: Action) -> tuple[float, bool]:
        """Take one action (with frame skip): reward (raw), terminated."""
        ...

    def frame(self) -> Frame:
        """What is seen now; the same until the next step."""
        ...

    def observation(self) -> NDArray[np.float32] | None:
        """The state vector (size,) that agents are given instead of a frame; None for games."""
        ...

    def state(self) -> NDArray[Any]:
        """The machine's memory (bytes,) uint8, or the simulator's state (numbers,) float64: checks
        a replay and feeds the probe.
        """
        ...


@runtime_checkable
class Simulator(Environment, Protocol):
    """An environment whose frames are drawn from the positions of its joints."""

    id: str
    """What its recordings call it, e.g. Hopper-v5."""

    def positions(
        self, observations: NDArray[np.float32], hidden: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Positions (T, positions) from state vectors (T, D) and what they leave out (T, hidden),
        zeros if that is not known; PipelineError where the numbers are those of another simulator.
        """
        ...

    def show(self, qpos: NDArray[Any]) -> Frame:
        """The frame of positions (positions,); what `frame` gives in that state."""
        ...


def make(config: EnvironmentConfig) -> Environment:
    """Build the environment that `config.family` names.

    Raises PipelineError for an unknown family or game.
    """
    environment: Environment = plugins.load("environments", config.family).build(config)
    return environment


def action_space(config: EnvironmentConfig) -> ActionSpace:
    """The actions of an environment, for which it is built once; PipelineError as `make`."""
    return _action_space(config.as_json())


@cache
def _action_space(config: str) -> ActionSpace:
    return make(EnvironmentConfig.from_json(config)).actions


def joint_actions(configs: Sequence[EnvironmentConfig], where: str) -> ActionSpace:
    """What a policy of several games of one family chooses among: the family's FULL_ACTION_SET, and
    what else they have, by name.

    Raises PipelineError that begins with `where`, for games of several families or with vectors.
    """
    families = list(dict.fromkeys(config.family for config in configs))
    if len(families) > 1:
        raise PipelineError(
            f"{where}: environments of several families ({', '.join(families)}); put together "
            "games of one"
        )
    order = getattr(plugins.load("environments", families[0]), "FULL_ACTION_SET", ())
    try:
        return joined([action_space(config) for config in configs], order)
    except ValueError as error:
        raise PipelineError(f"{where}: {error}; put together games with discrete ones") from None


def identify(config: EnvironmentConfig) -> dict[str, str]:
    """What the environment is, for the record: the emulator's version, the ROM's SHA-256.

    Raises PipelineError for an unknown family or game.
    """
    family = plugins.load("environments", config.family)
    told = getattr(family, "identify", None)
    identity: dict[str, str] = told(config) if told else make(config).versions
    return identity


def serves(config: EnvironmentConfig) -> bool:
    """Whether the game is one that the environment sets going for the player (`config.serve`).

    Raises PipelineError for an unknown family or game.
    """
    family = plugins.load("environments", config.family)
    told = getattr(family, "serves", None)
    return bool(told and told(config))
