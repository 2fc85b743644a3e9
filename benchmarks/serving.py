"""Which games wait for FIRE: every game of the emulator, with FIRE and without.

A game is tried when it begins and after lost lives. First it is played for some seconds with
random actions that do not press FIRE, which starts whatever any movement starts. Then it is left
alone, from the same state once as it is and once after a press of FIRE. It *waits* if it stands
still without (few different screens, whether it blinks or not) and goes on by itself with FIRE: the
screen keeps changing until something happens (a life is lost, points are scored) or to the end of
the time. A shot or a step does not last so long. Where a game waits, it is played on without FIRE,
and tried again and again before the next life is lost: if it waits there as well, FIRE is a move of
the player's, as a throw in bowling is.

Served is a game that waited in every trial of its starts, or of its lost lives, and never between;
then also where it waited in some trials only, for the environment looks before it presses.

A game is begun `--repeats` times. Prints the games that the environment serves, and writes what was
seen, a row per game.
"""

import csv
import multiprocessing
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from ale_py import Action, roms
from tqdm import tqdm

from benchmarks import _timing
from pipeline.environments import _console
from pipeline.io.atomic import replacing

TABLE = Path("resources/serving.csv")
LIVES = 2
"""Lost lives that are tried in a game."""
LEFT_ALONE = 240
"""Emulator frames, four seconds."""
STILL = 20
"""Different screens in the last three quarters of that, at most: ball and players may be animated
where they stand.
"""
MOVING = 30
"""Different screens after FIRE, at least."""
BETWEEN = 6000
"""Emulator frames in which a game is tried again while a life lasts."""
MOMENTS = 8
"""After a start or a lost life, 150 emulator frames apart."""
HELD = 4


@dataclass
class Seen:
    """A row of the table; `waits_…` of `…_trials`."""

    game: str
    fire: bool = False
    """In the minimal action set."""
    start_trials: int = 0
    waits_at_start: int = 0
    life_trials: int = 0
    waits_after_life: int = 0
    waits_between: bool = False
    screens_without: int = 0
    """Different screens while it was left alone, at most."""
    screens_with: int = 0
    """After FIRE, at least, where it waits; else 0."""
    served: bool = False


class Trial:
    """One game."""

    def __init__(self, rom: str, seed: int) -> None:
        self.console = _console.load(Path(roms.get_rom_path(rom)), seed=seed)
        self.console.reset_game()
        self.all = self.console.getMinimalActionSet()
        self.others = [move for move in self.all if "FIRE" not in move.name]
        self.chance = np.random.default_rng(seed)
        self.hold(Action.NOOP, 10 * seed)

    def hold(self, action: Action, frames: int = HELD) -> None:
        for _ in range(frames):
            self.console.act(action)

    def play(self, frames: int, fire: bool = False, until_life: bool = False) -> bool:
        """Random actions; whether a life was lost, or the game."""
        lives = self.console.lives()
        for _ in range(frames // HELD):
            moves = self.all if fire else self.others
            press = fire and self.chance.random() < 0.3
            self.hold(Action.FIRE if press else moves[self.chance.integers(len(moves))])
            lost = self.console.lives() < lives
            if self.over or (lost and until_life):
                return True
        return self.console.lives() < lives

    @property
    def over(self) -> bool:
        return bool(self.console.game_over(with_truncation=False))

    def left_alone(self, fire: bool) -> tuple[list[int], bool]:
        """Screens as they come, after FIRE or without, and whether something happened then."""
        before = self.console.cloneState(include_rng=True)
        lives, happened = self.console.lives(), False
        screens: list[int] = []
        if fire:
            self.hold(Action.FIRE, 2 * HELD)
        while len(screens) < LEFT_ALONE and not happened:
            if not fire and len(set(screens[LEFT_ALONE // 4 :])) > STILL:
                break  # it does not wait, whatever follows
            reward = self.console.act(Action.NOOP)
            screens.append(zlib.crc32(self.console.getScreen().data))
            happened = reward != 0 or self.console.lives() < lives or self.over
        self.console.restoreState(before)
        return screens, happened

    def begun(self) -> tuple[bool, int, int]:
        """The same at several moments after a start or a lost life, until it waits: a life may end
        with a long scene.
        """
        found = False, 0, 0
        for _ in range(MOMENTS):
            self.play(150)
            if self.over or (found := self.waits())[0]:
                break
        return found

    def waits(self) -> tuple[bool, int, int]:
        """Whether it waits now; different screens without FIRE and with."""
        screens, happened = self.left_alone(fire=False)
        without = len(set(screens[LEFT_ALONE // 4 :]))
        if happened or without > STILL:
            return False, without, 0
        screens, happened = self.left_alone(fire=True)
        tail = len(set(screens[-LEFT_ALONE // 4 :]))
        goes_on = len(set(screens)) >= MOVING and (happened or tail >= MOVING // 2)
        return goes_on, without, len(set(screens))


def seen(rom: str, games: int) -> Seen:
    """Try one game."""
    row = Seen(rom)
    for seed in range(1, games + 1):
        trial = Trial(rom, seed)
        row.fire = Action.FIRE in trial.all
        if not row.fire:
            return row
        for life in range(1 + LIVES):
            if life and not (trial.play(12_000, fire=True, until_life=True) and not trial.over):
                break
            waits, without, with_fire = trial.begun()
            kind = "life" if life else "start"
            setattr(row, f"{kind}_trials", getattr(row, f"{kind}_trials") + 1)
            name = "waits_after_life" if life else "waits_at_start"
            setattr(row, name, getattr(row, name) + waits)
            row.screens_without = max(row.screens_without, without)
            if waits:
                row.screens_with = min(row.screens_with or with_fire, with_fire)
                trial.hold(Action.FIRE, 2 * HELD)
                row.waits_between |= any(_between(trial))
    row.served = not row.waits_between and (_always(row, "start") or _always(row, "life"))
    return row


def _always(row: Seen, kind: str) -> bool:
    trials = getattr(row, f"{kind}_trials")
    waits = row.waits_at_start if kind == "start" else row.waits_after_life
    return bool(trials and waits == trials)


def _between(trial: Trial) -> Iterator[bool]:
    """Whether it waits, now and then, until a life is lost."""
    for _ in range(BETWEEN // 120):
        if trial.play(120):
            return
        yield trial.waits()[0]


def _in_child(rom: str, games: int, results: "multiprocessing.SimpleQueue[Seen]") -> None:
    results.put(seen(rom, games))


def measure(names: Sequence[str], games: int) -> list[Seen]:
    """A process for each game: the emulator ends it for a game that takes two players."""
    rows = []
    for rom in tqdm(names, unit="game"):
        results: multiprocessing.SimpleQueue[Seen] = multiprocessing.SimpleQueue()
        child = multiprocessing.Process(target=_in_child, args=(rom, games, results))
        child.start()
        child.join()
        if not child.exitcode:
            rows.append(results.get())
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, write."""
    parser = _timing.parser(__doc__, repeats=2)
    parser.add_argument("--games", nargs="*", default=roms.get_all_rom_ids())
    parser.add_argument("--output", type=Path, default=TABLE, help=f"CSV (default: {TABLE})")
    chosen = parser.parse_args(arguments)
    rows = measure(chosen.games, chosen.repeats)
    with replacing(chosen.output) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Seen))
        writer.writerows(asdict(row).values() for row in rows)
    for row in rows:
        if row.served:
            waits = f"at_start={row.waits_at_start > 0}, after_life={row.waits_after_life > 0}"
            print(f'    "{row.game}": Waits({waits}),')


if __name__ == "__main__":
    main()
