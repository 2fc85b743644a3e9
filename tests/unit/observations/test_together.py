"""Stores of several games as one: against the stores themselves."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.observations import Observation
from pipeline.observations.together import StoreOfSeveral


class Tokens:
    """So many tokens a step, whose content tells step and game; half of them are real."""

    def __init__(self, steps: int, tokens: int, game: int, width: int = 3) -> None:
        self.steps, self.game = steps, game
        self.shape = {"tokens": (tokens, width), "mask": (tokens,), "pooled": (2, width)}
        self.attributes: dict[str, Any] = {"storage": "tokens", "text_tokens": game, "mean": [game]}
        self.attributes["token_mean"] = np.zeros(width)

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        told = torch.from_numpy(np.where(steps < 0, 0, 1 + steps + 100 * self.game)).float()
        found = {
            name: told.view(*steps.shape, *[1] * len(size)).expand(*steps.shape, *size).clone()
            for name, size in self.shape.items()
        }
        tokens = torch.arange(self.shape["mask"][0]) % 2 == 0
        return {**found, "mask": (found["mask"] > 0) & tokens}


def test_steps_are_gathered_from_the_game_they_are_of() -> None:
    parts = [Tokens(5, 4, 1), Tokens(3, 6, 2), Tokens(7, 2, 3)]
    store = StoreOfSeveral(parts, ("a", "b", "c"))
    assert store.steps == 15
    assert store.shape == {"tokens": (6, 3), "mask": (6,), "pooled": (2, 3)}
    steps = np.array([[-1, 0, 4], [-1, -1, 5], [8, 9, 14], [4, 5, 8]])  # the last is of all
    found = store.gather(steps)
    for row, column in np.ndindex(*steps.shape):
        step = steps[row, column]
        if step < 0:
            assert all(not tensor[row, column].any() for tensor in found.values())
            continue
        game = int(np.searchsorted([5, 8], step, side="right"))
        local = np.array([[step - (0, 5, 8)[game]]])
        expected, count = parts[game].gather(local), parts[game].shape["mask"][0]
        for name, tensor in expected.items():
            here = found[name][row, column]
            if name != "pooled":
                assert not here[count:].any()  # padding is masked
                here = here[:count]
            assert torch.equal(here, tensor[0, 0]), (name, step)
    assert found["mask"].dtype == torch.bool


def test_what_games_agree_on_is_told_of_all() -> None:
    store = StoreOfSeveral([Tokens(5, 4, 1), Tokens(3, 6, 2)], ("a", "b"))
    assert store.attributes == {"storage": "tokens"}


def test_observations_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"observations of a are .* of b .* the same features"):
        StoreOfSeveral([Tokens(5, 4, 1), Tokens(5, 4, 1, width=4)], ("a", "b"))
