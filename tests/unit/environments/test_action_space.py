"""Action spaces: what is allowed, what an episode begins with, and the way to JSON and back."""

import json
import re

import numpy as np
import pytest

from pipeline.environments.action_space import Actions, ActionSpace, joined, places

GAME = ActionSpace(("FIRE", "NOOP", "LEFT"), noop=1)
ROBOT = ActionSpace(("thigh", "leg"), continuous=True, low=(-1, -2), high=(1, 2))


def vectors(*rows: tuple[float, float]) -> Actions:
    return np.array(rows, np.float32)


def test_an_episode_begins_with_the_action_that_does_nothing() -> None:
    assert (GAME.start().shape, GAME.start().dtype, int(GAME.start())) == ((), np.int64, 1)
    assert (ROBOT.start().dtype, ROBOT.start().tolist()) == (np.float32, [0, 0])
    assert GAME.fault(GAME.start()[None]) is None
    assert ROBOT.fault(ROBOT.start()[None]) is None


@pytest.mark.parametrize(
    ("space", "actions", "fault"),
    [
        (GAME, np.array([0, 2, 1]), None),
        (GAME, np.array([0, 3]), r"action 3 at step 1; allowed: 0 to 2 \(FIRE, NOOP, LEFT\)"),
        (GAME, np.array([-1]), "action -1 at step 0"),
        (GAME, vectors((0, 0)), r"actions are float32 \(2,\), expected indices"),
        (ROBOT, vectors((1, -2), (-1.000001, 2)), None),
        (ROBOT, vectors((0, 0), (0, 2.1)), "action 2.1 of 'leg' at step 1; allowed: -2 to 2"),
        (ROBOT, vectors((np.nan, 0)), "action nan of 'thigh' at step 0"),
        (ROBOT, np.zeros((1, 3), np.float32), r"actions are float32 \(3,\), expected vectors of 2"),
        (ROBOT, np.zeros((1, 2)), r"actions are float64 \(2,\), expected vectors of 2 \(float32\)"),
    ],
)
def test_faults(space: ActionSpace, actions: Actions, fault: str | None) -> None:
    if fault is None:
        assert space.fault(actions) is None
    else:
        assert re.match(fault, space.fault(actions) or "")


@pytest.mark.parametrize("space", [GAME, ROBOT])
def test_json(space: ActionSpace) -> None:
    assert ActionSpace.from_dict(json.loads(json.dumps(space.as_dict()))) == space


def test_captions() -> None:
    assert GAME.caption(2) == "LEFT"
    assert ROBOT.caption(np.array([0.5, -1], np.float32)) == "thigh +0.50, leg -1.00"


def test_actions_of_several_games_are_joined_by_name_and_found_again() -> None:
    other = ActionSpace(("NOOP", "UP", "LEFT"))
    both = joined([GAME, other], order=("NOOP", "DOWN", "FIRE"))
    assert both.names == ("NOOP", "DOWN", "FIRE", "LEFT", "UP")
    assert both.noop == 0
    for space in (GAME, other):
        assert tuple(both.names[i] for i in places(space, both)) == space.names


def test_what_cannot_be_joined_is_refused() -> None:
    with pytest.raises(ValueError, match="continuous"):
        joined([GAME, ROBOT])
    with pytest.raises(ValueError, match="not in tuple"):
        places(GAME, ActionSpace(("NOOP", "FIRE")))
