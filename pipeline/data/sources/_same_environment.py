"""Whether a Minari data set was recorded in the environment that a policy will act in.

Everything that changes what is seen, done or rewarded is compared: the specification
(`_recorded_in.py`), the spaces, the name, and, if this pipeline wrote the data set, the
configuration of the environment. What a data set does not say is not compared. Neither are no-op
starts, since the player chooses how play begins.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from pipeline import environments
from pipeline.config import plugins
from pipeline.config.data import Screen
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources import _recorded_in
from pipeline.data.sources._minari_metadata import Box, Metadata
from pipeline.data.sources._recorded_in import Recorded, Refused, plain
from pipeline.errors import PipelineError

IDENTITY = ("family", "game", "frame_skip", "sticky_actions", "screen", "options")
"""Of an environment's configuration: what decides what is seen, done and paid."""
ELSEWHERE = "correct the dataset's 'file' or 'name', or the environment"
LOSSLESS = "store it with Minari's jpeg_encoding=False"
ATARI_UNSEEN = {"render_mode", "continuous_action_threshold", "max_num_frames_per_episode"}
ROBOTS_UNSEEN = {
    *("render_mode", "width", "height", "camera_id", "camera_name", "default_camera_config"),
    *("max_geom", "visual_options"),
}
"""Settings that change nothing that is recorded, but for the limit, which is compared elsewhere."""


@dataclass(frozen=True)
class Understood:
    """What has to be known to read the steps."""

    actions: tuple[str, ...] | None
    """Names of the data's actions, in the order of their indices; None for vectors."""
    clipped: bool
    screen: str | None
    """What images show, without JPEG: a screen of ours, or another in words; None if not known."""


def check(metadata: Metadata, config: DatasetConfig, environment: EnvironmentConfig) -> Understood:
    """Raise a PipelineError that names the first difference and what to do about it."""
    try:
        return _check(metadata, config, environment)
    except Refused as why:
        raise PipelineError(f"{metadata.folder}: {why}") from None
    except (ValueError, ArithmeticError) as error:
        raise PipelineError(
            f"{metadata.folder}: its env_spec: {error}; get the data set again"
        ) from None


def _check(metadata: Metadata, config: DatasetConfig, environment: EnvironmentConfig) -> Understood:
    _check_name(metadata, environment)
    _check_ours(metadata, environment)
    recorded, full = None, None
    if metadata.specification is not None:
        recorded = _recorded_in.read(metadata.specification, environment.family)
        full = FAMILIES.get(environment.family, _check_other)(recorded, metadata, environment)
        _check_longest(recorded, config)
    told = environment.family == "atari" and metadata.ours is None  # ours has been compared
    return Understood(
        _action_names(metadata, environment, full),
        recorded is not None and recorded.clipped,
        recorded.screen if recorded is not None and told else None,
    )


def _differs(key: str, recorded: object, ours: object, cure: str = ELSEWHERE) -> Refused:
    return Refused(
        f"recorded with {key} {_said(recorded)}, the environment says {_said(ours)}; {cure}"
    )


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value!s:.60}"


def _check_name(metadata: Metadata, environment: EnvironmentConfig) -> None:
    """Minari's own names begin with the family and the game, `atari/breakout/expert-v0`."""
    family, *rest = metadata.name.split("/")
    if family not in FAMILIES or family != environment.family or len(rest) != 2:
        return
    known, game = _family(environment).games(), plain(rest[0])
    if game in map(plain, known) and game != plain(environment.game):
        raise _differs("game", game, plain(environment.game))


def _family(environment: EnvironmentConfig) -> Any:
    return plugins.load("environments", environment.family)


def _check_ours(metadata: Metadata, environment: EnvironmentConfig) -> None:
    wanted = environment.model_dump(mode="json")
    for key in IDENTITY:
        found = (wanted if metadata.ours is None else metadata.ours).get(key)
        if key == "game":
            found, wanted[key] = plain(str(found)), plain(wanted[key])
        if found != wanted[key]:
            cure = f"set the dataset's screen to {found}" if key == "screen" else ELSEWHERE
            raise _differs(key, found, wanted[key], cure)


def _check_atari(recorded: Recorded, metadata: Metadata, environment: EnvironmentConfig) -> bool:
    """Whether actions are of the full set; Refused for another game or another way to play it."""
    game: Any = environments.make(environment)
    if plain(recorded.game) != plain(environment.game):
        raise _differs("game", plain(recorded.game), plain(environment.game))
    told = recorded.settings
    if recorded.frame_skip != environment.frame_skip:
        cure = f"set frame_skip to {_said(recorded.frame_skip)} in the environment's file"
        raise _differs("frame_skip", recorded.frame_skip, environment.frame_skip, cure)
    sticky = told["repeat_action_probability"]
    if sticky != environment.sticky_actions:
        cure = f"set sticky_actions to {_said(sticky)} in the environment's file"
        raise _differs("sticky_actions", sticky, environment.sticky_actions, cure)
    plays: dict[str, tuple[object, ...]] = {
        "mode": (None, game.first_mode),
        "difficulty": (None, game.first_difficulty),
        "obs_type": ("rgb",),
        "continuous": (False,),
        "sound_obs": (False,),
    }
    for key, allowed in plays.items():
        if (value := told.get(key, allowed[0])) not in allowed:
            raise Refused(
                f"recorded with {key} {_said(value)}, and play here has {_said(allowed[-1])}; take "
                "another data set"
            )
    others = ("game", "frameskip", "repeat_action_probability", "full_action_space")
    _check_known(told, {*plays, *others, *ATARI_UNSEEN}, "ale-py")
    return bool(told.get("full_action_space", False))


def _check_robot(recorded: Recorded, metadata: Metadata, environment: EnvironmentConfig) -> None:
    family = _family(environment)
    wanted = family.find(environment.game)
    found = f"{recorded.game}-v{recorded.version}"
    if recorded.game != environment.game:
        raise _differs("game", plain(recorded.game), plain(environment.game))
    if found != wanted:
        raise Refused(
            f"recorded in {found}, the environment is {wanted}, whose physics and rewards differ; "
            f"take data of {wanted}"
        )
    if recorded.frame_skip != 1:
        raise Refused(
            f"recorded with every action repeated {recorded.frame_skip} times, which {wanted} does "
            "not do; take another data set"
        )
    defaults = family.defaults(environment)
    _check_known(recorded.settings, {*defaults, *ROBOTS_UNSEEN}, wanted)
    for key, default in defaults.items():
        told = _listed(recorded.settings.get(key, default))
        ours = _listed(environment.options.get(key, default))
        if key not in ROBOTS_UNSEEN and told != ours:
            cure = f"set options: {{{key}: {_said(told)}}} in the environment's file"
            raise _differs(key, told, ours, cure)


def _check_other(recorded: Recorded, metadata: Metadata, environment: EnvironmentConfig) -> None:
    if plain(recorded.game) != plain(environment.game):
        raise _differs("game", plain(recorded.game), plain(environment.game))


FAMILIES: dict[str, Callable[[Recorded, Metadata, EnvironmentConfig], bool | None]] = {
    "atari": _check_atari,
    "mujoco": _check_robot,
}


def _check_known(told: Mapping[str, Any], known: set[str], whose: str) -> None:
    if unknown := sorted(set(told) - known):
        raise Refused(
            f"recorded with the setting {unknown[0][:60]!r}, which {whose} does not know here; "
            "take another data set"
        )


def _check_longest(recorded: Recorded, config: DatasetConfig) -> None:
    """An episode that was cut must not be played further than it was recorded."""
    frames = recorded.settings.get("max_num_frames_per_episode")
    longest = recorded.longest
    if isinstance(frames, int) and frames > 0:
        longest = min(longest, frames / recorded.frame_skip)
    if config.max_episode_steps > longest:
        raise Refused(
            f"recorded with at most {int(longest)} steps an episode, the dataset's "
            f"max_episode_steps is {config.max_episode_steps}; set it to {int(longest)} or less"
        )


def _action_names(
    metadata: Metadata, environment: EnvironmentConfig, full: bool | None
) -> tuple[str, ...] | None:
    """What the indices of the data mean; Refused where their number or their bounds say that they
    are not the environment's.
    """
    space, ours = metadata.actions, environments.action_space(environment)
    if isinstance(space, Box):
        if not ours.continuous:
            raise Refused(
                f"actions are vectors of {space.shape[0]}, those of {environment.game} "
                f"are {ours.size} in number; {ELSEWHERE}"
            )
        _check_bounds(space, ours.low, ours.high, environment)
        return None
    if ours.continuous:
        raise Refused(
            f"actions are {space.n} in number, those of {environment.game} are vectors of "
            f"{ours.size}; {ELSEWHERE}"
        )
    choices = {ours.names: full is not True}
    if environment.family == "atari":
        every = _family(environment).FULL_ACTION_SET
        choices[every] = choices.get(every, False) or full is not False
    for names, possible in choices.items():
        if possible and len(names) == space.n:
            return names
    raise Refused(
        f"actions are {space.n} in number, those of {environment.game} are {ours.size} "
        f"({', '.join(ours.names)}); {ELSEWHERE}"
    )


def _check_bounds(
    space: Box, low: tuple[float, ...], high: tuple[float, ...], environment: EnvironmentConfig
) -> None:
    """Bounds may be as ours or none at all, as ClipAction leaves them."""
    if space.shape != (len(low),):
        return  # said better where actions are looked at
    for found, ours in ((space.low, low), (space.high, high)):
        if np.isfinite(found).any() and not np.allclose(found, ours, rtol=1e-5, atol=1e-5):
            raise Refused(
                f"actions are from {space.low.min():g} to {space.high.max():g}, those of "
                f"{environment.game} from {min(low):g} to {max(high):g}; {ELSEWHERE}"
            )


def _listed(value: Any) -> Any:
    """As JSON has it."""
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def differing_frames(
    metadata: Metadata, environment: EnvironmentConfig, screen: str | None, jpeg: bool
) -> Iterator[str]:
    """Why images that show `screen`, through JPEG or not, are not what play shows, the most basic
    first.
    """
    game = environments.make(environment)
    game.reset(0, 0)
    live, shape = game.frame().shape, metadata.observations.shape
    grey, shown = shape[2:] in {(), (1,)}, environment.screen
    known: tuple[str, ...] = get_args(Screen)
    if not grey and shape[2:] != (3,):
        yield f"images are {shape}; only (height, width) with 1 or 3 colours last are read"
    if screen is not None and screen not in known:
        yield f"recorded with {screen}, which no screen here shows; take another data set"
    if shape[:2] != live[:2]:
        yield (
            f"frames are {shape}, those of the environment are {live}, and a policy could not act "
            "on them; correct the dataset's screen"
        )
    if grey != (shown == "grey_84"):
        yield (
            f"frames are {'grey' if grey else 'in colour'}, {shape}, those of the environment are "
            f"{'in colour' if grey else 'grey'}, and a policy could not act on them; take data in "
            f"{'colour' if grey else 'grey'}"
        )
    if metadata.ours is not None and not jpeg:
        return  # the screen has been compared
    recorded = f"{screen or shown.removesuffix('_jpeg')}{'_jpeg' if jpeg else ''}"
    if recorded not in known and screen is None and environment.family == "atari":
        recorded = "last_jpeg"
    if recorded not in known:
        yield f"frames went through JPEG, and no screen here shows {recorded}; {LOSSLESS}"
    elif recorded != shown:
        yield str(_differs("screen", recorded, shown, f"set the dataset's screen to {recorded}"))
