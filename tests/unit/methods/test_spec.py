"""What a method is built for, of one game and of several."""

from pipeline.environments.action_space import ActionSpace, joined
from pipeline.methods import Spec

PONG = ActionSpace(("NOOP", "UP", "DOWN"))
QBERT = ActionSpace(("NOOP", "UP", "RIGHT"))


def test_one_game_chooses_among_its_own_actions() -> None:
    spec = Spec(("Pong",), (PONG,), {}, {})
    assert spec.choices == PONG
    assert spec.allowed.tolist() == [[True, True, True]]


def test_of_several_games_each_is_allowed_its_own() -> None:
    spec = Spec(("Pong", "Qbert"), (PONG, QBERT), {}, {}, joint=joined([PONG, QBERT]))
    assert spec.choices.names == ("NOOP", "UP", "DOWN", "RIGHT")
    assert spec.allowed.tolist() == [[True, True, True, False], [True, True, False, True]]
