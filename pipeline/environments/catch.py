"""Catch, a toy game for tests and the smoke workflow: balls fall one by one, a paddle catches them.

A screen of 40 by 32 pixels; the ball falls one row and the paddle moves at most one column per
emulator frame. A caught ball gives +1, a missed one -1; the game is over after `BALLS` balls.
Deterministic by seed: the seed decides the columns that the balls start in.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.config.schema import EnvironmentConfig
from pipeline.environments import Frame
from pipeline.environments.action_space import Action, ActionSpace
from pipeline.errors import PipelineError

HEIGHT, WIDTH = 40, 32
BALLS = 6
BALL, PADDLE = 3, 8  # widths in pixels
PADDLE_ROW = HEIGHT - 4  # its top row; it is two rows high
BACKGROUND, WALL, BALL_COLOUR, PADDLE_COLOUR = (
    (16, 16, 48),
    (90, 90, 90),
    (230, 60, 60),
    (60, 220, 90),
)
NOOP, RIGHT, LEFT = range(3)


class CatchEnvironment:
    """See `pipeline.environments.Environment`."""

    actions = ActionSpace(("NOOP", "RIGHT", "LEFT"), noop=NOOP)

    def __init__(self, frame_skip: int) -> None:
        self.versions = {"catch": "1"}
        self._frame_skip = frame_skip
        self._columns = np.zeros(BALLS, np.int64)
        self._ball = self._row = self._paddle = 0

    def reset(self, seed: int, noops: int) -> None:
        """Start a game, let `noops` emulator frames of NOOP pass."""
        self._columns = np.random.default_rng(seed).integers(1, WIDTH - BALL, BALLS)
        self._ball, self._row, self._paddle = 0, 1, (WIDTH - PADDLE) // 2
        for _ in range(noops):
            self._advance(NOOP)

    def step(self, action: Action) -> tuple[float, bool]:
        """Hold one action for `frame_skip` emulator frames; reward, all balls fallen."""
        reward = 0.0
        for _ in range(self._frame_skip):
            reward += self._advance(int(action))
        return reward, self._ball >= BALLS

    def frame(self) -> Frame:
        """The screen, (40, 32, 3)."""
        frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        frame[:] = WALL
        frame[1:-1, 1:-1] = BACKGROUND
        if self._ball < BALLS:
            frame[self._row : self._row + BALL, self._column : self._column + BALL] = BALL_COLOUR
        frame[PADDLE_ROW : PADDLE_ROW + 2, self._paddle : self._paddle + PADDLE] = PADDLE_COLOUR
        return frame

    def observation(self) -> None:
        """A game is seen."""

    def state(self) -> NDArray[np.uint8]:
        """The game's memory, (4,): ball column, ball row, paddle column, number of the ball."""
        return np.array([self._column, self._row, self._paddle, self._ball], np.uint8)

    @property
    def _column(self) -> int:
        return int(self._columns[min(self._ball, BALLS - 1)])

    def _advance(self, action: int) -> float:
        if self._ball >= BALLS:
            return 0.0
        move = {NOOP: 0, RIGHT: 1, LEFT: -1}[action]
        self._paddle = min(max(self._paddle + move, 1), WIDTH - 1 - PADDLE)
        self._row += 1
        if self._row + BALL <= PADDLE_ROW:
            return 0.0
        caught = self._paddle - BALL < self._column < self._paddle + PADDLE
        self._ball, self._row = self._ball + 1, 1
        return 1.0 if caught else -1.0


def build(config: EnvironmentConfig) -> CatchEnvironment:
    """Build the game; raises PipelineError for another game, or for settings it cannot have."""
    if config.game.lower() != "catch":
        raise PipelineError(f"unknown game {config.game!r} of family 'catch'; allowed: catch")
    if config.sticky_actions:
        raise PipelineError("sticky_actions: catch has none; set it to 0")
    if config.screen != "maximum":
        raise PipelineError(f"screen: {config.screen}: catch has one screen only; remove the key")
    if config.options:
        raise PipelineError(f"options: {', '.join(config.options)}: catch has none; remove them")
    return CatchEnvironment(config.frame_skip)


def expert_action(environment: CatchEnvironment) -> int:
    """The action that brings the paddle's middle under the ball."""
    column, _, paddle, _ = environment.state().tolist()
    distance = (column + BALL // 2) - (paddle + PADDLE // 2)
    if abs(distance) <= 2:
        return NOOP
    return RIGHT if distance > 0 else LEFT
