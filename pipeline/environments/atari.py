"""Atari games in the Arcade Learning Environment, driven directly (docs/method.md §3).

Protocol: the ROM is loaded afresh for every episode, then so many raw NOOP frames; an action of the
minimal set is held for `frame_skip` emulator frames (fewer at game over), and the frame is made of
the last two screens: their element-wise maximum, because the console draws some sprites only in
every other frame, unless `screen` says otherwise. A full game is one episode.

The other screens are those of published data, so that a policy trained on them sees the same when
it acts: Minari's (`last_jpeg`), Gymnasium's (`last`), Dopamine's (`grey_84`).

Where a game waits for FIRE, the environment presses it (`_serving.py`): after the no-ops, and at
the end of a step after a lost life. What is seen next is the game in play; the press is no step.
"""

import copy
import difflib
import hashlib
import io
import zlib
from pathlib import Path

import ale_py
import gymnasium
import numpy as np
from ale_py import roms
from ale_py.registration import rom_id_to_name
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import AtariPreprocessing, MaxAndSkipObservation
from numpy.typing import NDArray
from PIL import Image

from pipeline.config.schema import EnvironmentConfig
from pipeline.environments import Frame, _console, _serving
from pipeline.environments.action_space import Action, ActionSpace
from pipeline.environments.resize import area_sums
from pipeline.errors import PipelineError

FULL_ACTION_SET: tuple[str, ...] = tuple(ale_py.Action.__members__)
"""What an index means where a game is played with every action of the console."""


STICKY = True
"""A console repeats actions by chance if it is told; the process that runs Snakemake reads it from
source.
"""
FRAMES_PER_SECOND = 60
SCORE_LINES = 25
"""The first rows of a screen, of 210 or more."""


class AtariEnvironment:
    """One game of the emulator; see `pipeline.environments.Environment`."""

    _console: ale_py.ALEInterface
    """Of this episode: there is none before the first."""

    def __init__(
        self,
        game: str,
        frame_skip: int,
        sticky_actions: float,
        screen: str = "maximum",
        serve: bool = False,
    ) -> None:
        self._rom = find_rom(game)
        self._frame_skip, self._sticky = frame_skip, sticky_actions
        self.step_seconds = frame_skip / FRAMES_PER_SECOND
        told = _console.game(self._rom)
        self.first_mode, self.first_difficulty = told.first_mode, told.first_difficulty
        self._moves = told.moves
        height, width = told.screen
        self._screen = screen
        shape = (height, width) if screen == "grey_84" else (height, width, 3)
        self._screens = np.zeros((2, *shape), np.uint8)  # the last two, by parity
        self._colours = np.zeros((2, height, width), np.uint8)  # the same as the console has them
        self._drawn = 0
        names = tuple(move.name for move in self._moves)
        self.actions = ActionSpace(names, noop=names.index("NOOP"))
        self.versions = {"ale-py": ale_py.__version__, "rom_md5": told.rom_md5}
        waits = _serving.WAITS.get(self._rom.stem) if serve else None
        self._server = None if waits is None else _serving.Server(self._rom, waits, self._press)

    def reset(self, seed: int, noops: int) -> None:
        """Start a game, let `noops` emulator frames of NOOP pass."""
        self._console = _console.load(self._rom, self._sticky, seed)
        self._console.reset_game()
        self._draw()
        self._draw()
        self._advance(self.actions.noop, noops)
        if self._server is not None:
            self._server.start(self._console)

    def step(self, action: Action) -> tuple[float, bool]:
        """Hold one action for `frame_skip` emulator frames; raw reward, game over."""
        reward = self._advance(int(action), self._frame_skip)
        if self._server is not None:
            reward += self._server.stepped(self._frame_skip)
        return reward, self._console.game_over(with_truncation=False)

    def frame(self) -> Frame:
        """(210, 160, 3), or (84, 84, 3) with `grey_84`."""
        if self._screen.startswith("last"):
            last: Frame = self._screens[(self._drawn - 1) % 2]
            return through_jpeg(last) if self._screen == "last_jpeg" else last.copy()
        frame: Frame = np.maximum(self._screens[0], self._screens[1])
        return small_grey(frame) if self._screen == "grey_84" else frame

    def glance(self) -> int:
        """A checksum of the last two screens without the score's lines, thinned out: of what is
        two pixels wide and four high nothing is missed.
        """
        last, before = self._colours[(self._drawn - 1) % 2], self._colours[self._drawn % 2]
        told = zlib.crc32(last[SCORE_LINES::4, ::2].tobytes())
        return zlib.crc32(before[SCORE_LINES::4, ::2].tobytes(), told)

    def observation(self) -> None:
        """A game is seen."""

    def state(self) -> NDArray[np.uint8]:
        """The console's memory, (128,)."""
        memory: NDArray[np.uint8] = self._console.getRAM()
        return memory

    def _press(self) -> float:
        return self._advance(self.actions.names.index("FIRE"), _serving.PRESS)

    def _advance(self, action: int, frames: int) -> float:
        reward = 0.0
        for left in range(frames, 0, -1):
            reward += self._console.act(self._moves[action])
            over = self._console.game_over(with_truncation=False)
            if left <= 2 or over:  # only the last two screens are looked at
                self._draw()
            if over:
                break
        return reward

    def _draw(self) -> None:
        place = self._screens[self._drawn % 2]
        self._console.getScreen(self._colours[self._drawn % 2])
        if self._screen == "grey_84":
            self._console.getScreenGrayscale(place)
        else:
            self._console.getScreenRGB(place)
        self._drawn += 1


def build(config: EnvironmentConfig) -> AtariEnvironment:
    """Build the game; raises PipelineError with close matches if ale-py has no such ROM, and for
    options.
    """
    if config.options:
        names = ", ".join(config.options)
        raise PipelineError(f"{config.game}: options: {names}: for robots only; remove them")
    played = config.frame_skip, config.sticky_actions, config.screen, config.serve
    return AtariEnvironment(config.game, *played)


def serves(config: EnvironmentConfig) -> bool:
    """Whether FIRE is pressed for the player: asked for, and the game waits for it."""
    return config.serve and find_rom(config.game).stem in _serving.WAITS


def through_jpeg(frame: Frame) -> Frame:
    """The frame as it is after Minari has stored it: JPEG with Pillow's own settings."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="JPEG")
    return np.array(Image.open(buffer, formats=["JPEG"]), np.uint8)


def small_grey(grey: NDArray[np.uint8]) -> Frame:
    """A grey screen (210, 160) as Dopamine shrinks it, the same in each channel: (84, 84, 3).

    Means of areas, halves to the even number, as OpenCV's INTER_AREA rounds them.
    """
    summed, area = area_sums(grey[None], 84)
    return np.repeat(np.rint(summed[0] / area).astype(np.uint8)[..., None], 3, axis=-1)


def identify(config: EnvironmentConfig) -> dict[str, str]:
    """The emulator's version, and name and SHA-256 of the ROM."""
    rom = find_rom(config.game)
    digest = hashlib.sha256(rom.read_bytes()).hexdigest()
    return {"ale-py": ale_py.__version__, "rom": rom.name, "rom_sha256": digest}


def specification(config: EnvironmentConfig) -> EnvSpec:
    """gymnasium's specification of the game as it is played here, with the same frames but for
    JPEG; the maximum of screens of one frame each is beyond gymnasium's wrappers.
    """
    gymnasium.register_envs(ale_py)
    rom = find_rom(config.game).stem
    found = copy.deepcopy(gymnasium.spec(f"ALE/{rom_id_to_name(rom)}-v5"))
    skip, outside = config.frame_skip, config.screen in {"maximum", "grey_84"}
    outside &= skip > 1
    step = 1 if outside else skip  # emulator frames in a step inside of the wrappers
    found.max_episode_steps = found.kwargs["max_num_frames_per_episode"] // step
    found.kwargs |= {
        "frameskip": step,
        "repeat_action_probability": config.sticky_actions,
    }
    if outside and config.screen == "maximum":
        found.additional_wrappers = (MaxAndSkipObservation.wrapper_spec(skip=skip),)
    elif outside:
        found.additional_wrappers = (
            AtariPreprocessing.wrapper_spec(noop_max=0, frame_skip=skip, screen_size=84),
        )
    return found


def games() -> list[str]:
    """Every game that the emulator has, in snake case."""
    found: list[str] = roms.get_all_rom_ids()
    return found


def find_rom(game: str) -> Path:
    """ROM file of a game: `SpaceInvaders` and `space_invaders` are the same."""
    known = {_plain(rom): rom for rom in games()}
    if _plain(game) not in known:
        close = difflib.get_close_matches(_plain(game), known, n=3, cutoff=0.5)
        names = ", ".join(known[name] for name in close or sorted(known))
        hint = "did you mean" if close else "ale-py has"
        raise PipelineError(f"unknown Atari game {game!r}; {hint}: {names}")
    path = roms.get_rom_path(known[_plain(game)])
    return Path(path)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
