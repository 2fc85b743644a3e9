"""The recorded environment of a data set, read from gymnasium's specification without making it.

An environment is a class with settings inside wrappers. A wrapper can skip frames, end episodes at
a lost life, shrink pictures or clip rewards. The known wrappers are listed here; an unknown one is
refused, since it might change what is seen, done or rewarded.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

ENTRY_POINTS = {
    "atari": ("ale_py.", "shimmy.atari_env:"),
    "mujoco": ("gymnasium.envs.mujoco.",),
}
"""Modules whose environments a family is; an entry point elsewhere is another environment."""
WRAPPERS = ("gymnasium.wrappers.", "minari.", "stable_baselines3.common.")
"""Modules whose wrappers are known by name."""
HARMLESS = {
    *("OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics", "RecordVideo", "Monitor"),
    *("HumanRendering", "RenderCollection", "DataCollector"),
    *("ClipAction",),  # what is recorded is out of bounds then, which is checked
    *("NoopResetEnv",),  # starts are the player's own affair: max_noops
}
ID = re.compile(r"(?:[\w:-]+/)?(?P<game>[\w:.-]+?)(?:-v(?P<version>\d+))?")
ATARI_KINDS = re.compile(r"(?:-ram)?(NoFrameskip|Deterministic)?$")
ADVICE = "record without it, or take another data set"


class Refused(Exception):
    """Why data that were recorded so cannot be used, and what to do, in words."""


@dataclass(frozen=True)
class Recorded:
    """An environment with its wrappers, as far as they change what is seen, done or paid."""

    game: str
    """As in the id, without version: `Breakout`, `BreakoutNoFrameskip`, `Hopper`."""
    version: int | None
    settings: Mapping[str, Any]
    """Keyword arguments of the environment's class."""
    frame_skip: int = 1
    """Frames of an emulator, or steps of a robot's environment, in one step of the agent."""
    screen: str = "last"
    """One of ours, or in words what is shown."""
    longest: float = float("inf")
    """Steps of the agent before an episode is cut."""
    clipped: bool = False
    """Rewards are clipped to [-1, 1]."""


def read(specification: Mapping[str, Any], family: str) -> Recorded:
    """Work out what was recorded, in an environment of `family`.

    Raises Refused for what is no specification, and for what cannot be played here.
    """
    found = ID.fullmatch(str(specification.get("id")))
    if found is None:
        raise Refused(f"its env_spec has the id {specification.get('id')!r}; {ADVICE}")
    _check_entry_point(specification.get("entry_point"), family)
    settings = specification.get("kwargs") or {}
    if not isinstance(settings, Mapping):
        raise Refused(f"the kwargs of its env_spec are {settings!r:.60}; get the data set again")
    version, limit = found["version"], specification.get("max_episode_steps")
    if family == "atari":
        settings = {**_atari_defaults(found["game"], version), **settings}
    recorded = Recorded(
        str(settings.get("game", found["game"])),
        None if version is None else int(version),
        settings,
        _positive(settings["frameskip"], "frameskip") if family == "atari" else 1,
        longest=float("inf") if limit is None else _positive(limit, "max_episode_steps"),
    )
    if family == "atari" and plain(re.sub(ATARI_KINDS, "", found["game"])) != plain(recorded.game):
        raise Refused(
            f"its env_spec is of {found['game']} by its id and of {recorded.game} by its "
            f"settings; get the data set again"
        )
    wrappers = specification.get("additional_wrappers") or ()
    if not isinstance(wrappers, list | tuple):
        raise Refused("the additional_wrappers of its env_spec are no list; get the data set again")
    for wrapper in wrappers:
        recorded = _wrapped(recorded, wrapper)
    return recorded


def plain(name: str) -> str:
    """`space_invaders` and `SpaceInvaders` are the same game."""
    return name.replace("_", "").lower()


def _atari_defaults(game: str, version: str | None) -> dict[str, Any]:
    """What an id of ale-py stands for, where the settings do not say otherwise."""
    kind = ATARI_KINDS.search(game)
    skips: dict[str, object] = {"NoFrameskip": 1, "Deterministic": 4, "": [2, 5]}
    old = version in {"0", "4"}
    return {
        "game": ATARI_KINDS.sub("", game),
        "frameskip": skips[kind[1] or ""] if old and kind else 4,
        "repeat_action_probability": 0.0 if version == "4" else 0.25,
    }


def _check_entry_point(entry_point: object, family: str) -> None:
    allowed = ENTRY_POINTS.get(family)
    if entry_point is None or allowed is None:
        return
    if not isinstance(entry_point, str) or not entry_point.startswith(allowed):
        raise Refused(
            f"recorded in an environment made by {str(entry_point)[:60]!r}, which is none of the "
            f"family {family!r} and is not run; check the dataset's 'file' or 'name'"
        )


def _wrapped(recorded: Recorded, wrapper: object) -> Recorded:
    """The environment inside one wrapper more."""
    if not isinstance(wrapper, Mapping):
        raise Refused("its env_spec has a wrapper that is no JSON object; get the data set again")
    module, _, name = str(wrapper.get("entry_point")).partition(":")
    known = f"{module}.".startswith(WRAPPERS)
    if known and name in HARMLESS:
        return recorded
    if known and name in REFUSED:
        raise Refused(f"recorded through the wrapper {name}, which {REFUSED[name]}; {ADVICE}")
    if not known or name not in EFFECTS:
        raise Refused(
            f"recorded through the wrapper {str(wrapper.get('name') or name)[:60]!r}, of which "
            f"it is not known what it changes; {ADVICE}"
        )
    settings = wrapper.get("kwargs")
    if settings is None and name not in WITHOUT_SETTINGS:
        raise Refused(
            f"recorded through the wrapper {name}, and its settings are not stored; {ADVICE}"
        )
    if settings is not None and not isinstance(settings, Mapping):
        raise Refused(f"the kwargs of {name} are {settings!r:.60}; get the data set again")
    return EFFECTS[name](recorded, settings or {})


def _preprocessed(recorded: Recorded, settings: Mapping[str, Any]) -> Recorded:
    """gymnasium's AtariPreprocessing, with its defaults."""
    if settings.get("terminal_on_life_loss", False):
        _life_loss(recorded, settings)
    skip = _positive(settings.get("frame_skip", 4), "frame_skip")
    size = settings.get("screen_size", 84)
    width, height = size if isinstance(size, list | tuple) and len(size) == 2 else (size, size)
    grey, native = settings.get("grayscale_obs", True), (width, height) == (160, 210)
    if settings.get("scale_obs", False):
        raise Refused(f"recorded through AtariPreprocessing with scale_obs, not bytes; {ADVICE}")
    two = skip > 1 and recorded.frame_skip == 1  # the last two screens one after the other
    if grey and two and (width, height) == (84, 84):
        screen = "grey_84"
    elif not grey and native and (two or skip == 1):
        screen = "maximum" if two else recorded.screen
    else:
        screen = f"{width} by {height} pixels{' in grey' if grey else ''} of AtariPreprocessing"
    return replace(recorded, screen=screen, **_skipped(recorded, skip))


def _maximum(recorded: Recorded, settings: Mapping[str, Any]) -> Recorded:
    """gymnasium's MaxAndSkipObservation."""
    skip = _positive(settings.get("skip", 4), "skip")
    plain = recorded.frame_skip == 1 and recorded.screen == "last"
    screen = "maximum" if plain else f"the maximum of screens {recorded.frame_skip} frames apart"
    return replace(recorded, screen=screen, **_skipped(recorded, skip))


def _repeated(recorded: Recorded, settings: Mapping[str, Any]) -> Recorded:
    return replace(recorded, **_skipped(recorded, _positive(settings.get("num_repeats"), "repeat")))


def _skipped(recorded: Recorded, skip: int) -> dict[str, Any]:
    """Skips multiply, and what is outside of them counts fewer steps."""
    return {"frame_skip": recorded.frame_skip * skip, "longest": recorded.longest / skip}


def _limited(recorded: Recorded, settings: Mapping[str, Any]) -> Recorded:
    limit = _positive(settings.get("max_episode_steps"), "max_episode_steps")
    return replace(recorded, longest=min(recorded.longest, limit))


def _clipped(recorded: Recorded, settings: Mapping[str, Any]) -> Recorded:
    bounds = (settings.get("min_reward", -1), settings.get("max_reward", 1))
    if bounds != (-1, 1):
        raise Refused(f"recorded with rewards clipped to {bounds!r:.60}, not to (-1, 1); {ADVICE}")
    return replace(recorded, clipped=True)


def _life_loss(recorded: Recorded, settings: Mapping[str, Any]) -> Recorded:
    raise Refused(
        "recorded with episodes that end when a life is lost (terminal_on_life_loss), and a whole "
        f"game is one episode here; {ADVICE}"
    )


def _positive(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refused(f"its env_spec says {what} {value!r:.60}, expected 1 or more; {ADVICE}")
    return value


EFFECTS: dict[str, Callable[[Recorded, Mapping[str, Any]], Recorded]] = {
    "AtariPreprocessing": _preprocessed,
    "MaxAndSkipObservation": _maximum,
    "RepeatAction": _repeated,
    "TimeLimit": _limited,
    "ClipReward": _clipped,
    "ClipRewardEnv": _clipped,
    "EpisodicLifeEnv": _life_loss,
}
WITHOUT_SETTINGS = {"ClipRewardEnv", "EpisodicLifeEnv"}
REFUSED = {
    "FireResetEnv": "presses FIRE by itself",
    "FrameStackObservation": "shows several frames at once",
    "GrayscaleObservation": "shows a grey of its own",
    "NormalizeObservation": "changes what is seen by what was seen before",
    "NormalizeReward": "changes rewards by those that were paid before",
    "RescaleAction": "changes what actions mean",
    "ResizeObservation": "shows frames of another size",
    "StickyAction": "repeats actions of the agent, not of the emulator",
    "StickyActionEnv": "repeats actions of the agent, not of the emulator",
    "TransformReward": "changes rewards",
    "WarpFrame": "shows frames of another size in grey",
}
