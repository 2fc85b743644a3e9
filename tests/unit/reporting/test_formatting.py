"""How tables are laid out."""

from pipeline.reporting.formatting import WIDEST, method_grid

GAMES = ["pong", "qbert"]


def made(methods: int) -> list[str]:
    header = ["game", *(f"m{index}" for index in range(methods))]
    return method_grid(header, [[game, *map(str, range(methods))] for game in GAMES]).splitlines()


def test_few_methods_are_columns() -> None:
    assert made(2) == ["| game | m0 | m1 |", "| --- | ---: | ---: |", *made(2)[2:]]
    assert [line.split(" | ")[0] for line in made(WIDEST - 1)[2:]] == ["| pong", "| qbert"]


def test_many_methods_are_lines() -> None:
    lines = made(WIDEST)
    assert lines[0] == "| method | pong | qbert |"
    assert lines[2:] == [f"| m{index} | {index} | {index} |" for index in range(WIDEST)]


def test_more_games_than_methods_stay_lines() -> None:
    games = [[f"game{index}", *["1"] * WIDEST] for index in range(WIDEST + 1)]
    assert method_grid(["game", *["m"] * WIDEST], games).startswith("| game | m")
