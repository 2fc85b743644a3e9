"""Checks of the files of every source: they exist, they are the expected ones, and they hold as
much as expected.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import environments
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.environments.action_space import Actions, ActionSpace
from pipeline.errors import PipelineError


def find(config: DatasetConfig, resources: Path) -> Path:
    """The file or folder that a data set reads; it must be there, and have the hashes given for it.

    Raises PipelineError saying how to get it.
    """
    if len(config.files) != 1:
        raise PipelineError(f"dataset: source {config.source!r} needs the key 'file', and one file")
    path = resources / config.files[0]
    if not path.exists():
        raise PipelineError(
            f"{path}: missing; put the data there (docs/data.md says where they come from), or "
            "correct the dataset's 'file'"
        )
    check_hashes(config, [path])
    return path


def check_hashes(config: DatasetConfig, paths: Sequence[Path]) -> None:
    """Raise a PipelineError if a file whose hash the data set gives is not there, or is another.

    `paths` are its files, or the folder that they are in; the name of a file may begin with
    folders that it is in.
    """
    for name, expected in config.sha256.items():
        files = [path if path.is_file() else path / name for path in paths]
        named = [file for file in files if file.is_file() and file.match(name)]
        if not named:
            raise PipelineError(f"{paths[0]}: no file {name!r}, which the dataset's sha256 names")
        for file in named:
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            if digest != expected:
                raise PipelineError(
                    f"{file}: SHA-256 is {digest}, the dataset expects {expected}; "
                    "get the file again, or correct the dataset's sha256"
                )


def check_counts(config: DatasetConfig, path: Path, episodes: int, steps: int) -> None:
    """Raise a PipelineError if a source holds nothing, or another number of episodes or steps than
    the data set expects. Both are counted before any are selected.
    """
    if not episodes:
        raise PipelineError(f"{path}: zero episodes; get the data again")
    for what, found, expected in (
        ("episodes", episodes, config.expected_episodes),
        ("steps", steps, config.expected_steps),
    ):
        if expected is not None and found != expected:
            raise PipelineError(
                f"{path}: {found} {what}, the dataset expects {expected}; get the data again, or "
                f"correct expected_{what}"
            )


def flags(path: Path, name: str, array: NDArray[Any]) -> NDArray[np.bool_]:
    """(…,) whether something ends here; PipelineError for anything but 0 and 1."""
    sound = array.dtype.kind in "biuf" and bool(np.isin(array, (0, 1)).all())
    if not sound:
        found = array[~np.isin(array, (0, 1))].ravel()[:1].tolist()
        raise PipelineError(
            f"{path}: {name} holds {found[0] if found else array.dtype}, only 0 and 1 are allowed; "
            "get the file again"
        )
    return array.astype(np.bool_)


def by_meaning(
    path: Path | str, actions: NDArray[np.int64], names: Sequence[str], space: ActionSpace
) -> NDArray[np.int64]:
    """Indices (T,) into `names`, the data's actions, as indices of the environment's.

    Raises PipelineError for an index that names nothing, and for an action that the environment
    does not have.
    """
    if actions.size and not 0 <= actions.min() <= actions.max() < len(names):
        step = int(((actions < 0) | (actions >= len(names))).argmax())
        raise PipelineError(
            f"{path}: action {actions[step]} at step {step}; allowed: 0 to {len(names) - 1} "
            f"({', '.join(names)})"
        )
    places = {name: index for index, name in enumerate(space.names)}
    mapped: NDArray[np.int64] = np.array([places.get(name, -1) for name in names], np.int64)[
        actions
    ]
    if (missing := mapped < 0).any():
        step = int(missing.argmax())
        raise PipelineError(
            f"{path}: action {names[actions[step]]} at step {step}, which the environment does not "
            f"have ({', '.join(space.names)}); take data that were recorded with these actions"
        )
    return mapped


def clipped(
    config: DatasetConfig, environment: EnvironmentConfig, actions: Actions
) -> tuple[Actions, str]:
    """Actions (T, …) within their bounds where the data set asks for that, and for the description
    of the source how many were not; else the actions as they are.
    """
    space = environments.action_space(environment)
    if not config.clip_actions or not space.continuous or actions.shape[1:] != space.row_shape:
        return actions, ""
    within = np.clip(actions, np.array(space.low, np.float32), np.array(space.high, np.float32))
    outside = int((np.isfinite(actions) & (within != actions)).any(axis=1).sum())
    return np.where(
        np.isfinite(actions), within, actions
    ), f", clipped: {outside} of {len(actions)} recorded actions"


def fit(
    path: Path,
    environment: EnvironmentConfig,
    actions: Actions,
    observations: NDArray[np.float32] | None,
    qpos: NDArray[np.float32] | None,
) -> NDArray[np.float32] | None:
    """Positions (T, positions) of a simulator's joints, those of the source or else those that its
    state vectors tell; None for a game.

    Raises PipelineError if actions (T, …), state vectors (T, D) or positions are not the
    environment's.
    """
    game = environments.make(environment)
    game.reset(0, 0)
    live, cure = game.observation(), "check that the data set names the right environment"
    if fault := game.actions.fault(actions):
        beyond = (
            game.actions.continuous
            and actions.shape[1:] == game.actions.row_shape
            and bool(np.isfinite(actions).all())
        )
        clip = "set the dataset's clip_actions to true to clip them, or " if beyond else ""
        raise PipelineError(f"{path}: {fault}; {clip}{cure}")
    expected = None if live is None else live.shape
    found = None if observations is None else observations.shape[1:]
    if found != expected:
        raise PipelineError(
            f"{path}: observations are {found or 'frames'}, those of {environment.game} are "
            f"{expected or 'frames'}; {cure}"
        )
    if not isinstance(game, environments.Simulator) or observations is None:
        return None
    if qpos is None:
        return game.positions(observations)
    if qpos.shape[1:] != game.state().shape:
        raise PipelineError(
            f"{path}: positions of joints are {qpos.shape[1:]}, {environment.game} has "
            f"{game.state().shape}; {cure}"
        )
    return qpos


def share(config: DatasetConfig) -> str:
    """For the description of a source: how much of it is used, if not all."""
    return f", first {config.fraction:.3g}" if config.fraction < 1 else ""
