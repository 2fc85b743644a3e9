"""Plans by a beam search against an exhaustive one, in a table of states that is small enough."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.nn import imagination
from pipeline.nn.beam_search import beam_search
from pipeline.nn.imagination import plan

STATES, ACTIONS, DISCOUNT = 6, 3, 0.9


@dataclass(frozen=True)
class States:
    index: Tensor

    def select(self, rows: Tensor) -> "States":
        return States(self.index[rows])


class Table:
    """A model whose next states, rewards and ends are looked up; some actions are not allowed."""

    def __init__(self, seed: int, forbidden: bool = False) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.following = torch.randint(0, STATES, (STATES, ACTIONS), generator=generator)
        self.rewards = torch.randn(STATES, ACTIONS, generator=generator)
        self.goes_on = torch.rand(STATES, ACTIONS, generator=generator)
        self.values = torch.randn(STATES, generator=generator)
        logits = torch.randn(STATES, ACTIONS, generator=generator)
        if forbidden:
            logits[::2, 1] = -torch.inf
        self.prior = logits.log_softmax(dim=1)

    def log_prior(self, node: States) -> Tensor:
        return self.prior[node.index]

    def imagine(self, node: States, actions: Tensor) -> tuple[States, Tensor, Tensor]:
        at = node.index, actions
        return States(self.following[at]), self.rewards[at], self.goes_on[at]

    def leaf(self, node: States) -> Tensor:
        return self.values[node.index]

    def worth(self, state: int, actions: tuple[int, ...], prior_weight: float) -> float:
        total, going_on = 0.0, 1.0
        for d, action in enumerate(actions):
            if not bool(self.prior[state, action].isfinite()):
                return float("-inf")
            total += DISCOUNT**d * going_on * float(self.rewards[state, action])
            total += prior_weight * float(self.prior[state, action])
            going_on *= float(self.goes_on[state, action])
            state = int(self.following[state, action])
        return total + DISCOUNT ** len(actions) * going_on * float(self.values[state])


def planned(table: Table, states: list[int], **settings: Any) -> tuple[Tensor, Tensor]:
    told = {"discount": DISCOUNT, "prior_weight": 0.1, "horizon": 2, "beams": ACTIONS, **settings}
    return plan(table, States(torch.tensor(states)), episodes=len(states), **told)


@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize(("horizon", "beams"), [(1, 3), (2, 3), (3, 9), (2, 7)])
def test_with_as_many_beams_as_plans_the_search_is_exhaustive(
    horizon: int, beams: int, forbidden: bool
) -> None:
    for seed in range(5):
        table, states = Table(seed, forbidden), list(range(STATES))
        found, worth = planned(table, states, horizon=horizon, beams=beams)
        for state in states:
            all_plans = list(product(range(ACTIONS), repeat=horizon))
            best = max(all_plans, key=lambda each: table.worth(state, each, 0.1))
            assert found[state] == best[0]
            assert float(worth[state]) == pytest.approx(table.worth(state, best, 0.1), abs=1e-5)


def test_one_beam_takes_the_most_probable_action() -> None:
    table, states = Table(1, forbidden=True), list(range(STATES))
    best = table.prior.argmax(dim=1)
    for horizon in (1, 4):
        found, _ = planned(table, states, beams=1, horizon=horizon, prior_weight=0.0)
        assert torch.equal(found, best)
    found, _ = planned(table, states, beams=3, horizon=1, prior_weight=1e4)
    assert torch.equal(found, best)


def test_each_node_is_followed_by_its_most_probable_actions_only() -> None:
    """JOWA's rule; by worth alone the third most probable action would be the best at times."""
    different = 0
    for seed in range(10):
        table, states = Table(seed), list(range(STATES))
        found, _ = planned(table, states, beams=2, prior_weight=0.0)
        for state in states:
            assert found[state] in table.prior[state].topk(2).indices
        everything, _ = planned(table, states, prior_weight=0.0)
        different += int((found != everything).sum())
    assert different > 5


def test_noise_is_added_to_the_first_actions_only() -> None:
    """Both where the most probable ones are chosen and in what a plan is worth."""
    table, states = Table(2), list(range(STATES))
    noise = torch.randn(STATES, ACTIONS, generator=torch.Generator().manual_seed(0))
    found, _ = planned(table, states, beams=1, prior_weight=0.0, noise=noise)
    assert torch.equal(found, (table.prior + noise).argmax(dim=1))
    found, worth = planned(table, states, prior_weight=1.0, noise=noise)
    for state in states:
        all_plans = list(product(range(ACTIONS), repeat=2))
        each = [table.worth(state, a, 1.0) + float(noise[state, a[0]]) for a in all_plans]
        assert float(worth[state]) == pytest.approx(max(each), abs=1e-5)
        assert found[state] == all_plans[int(np.argmax(each))][0]


@pytest.mark.parametrize("beams", [1, 2, 3])
def test_no_plan_depends_on_the_other_episodes(beams: int) -> None:
    table, states = Table(3, forbidden=True), [4, 0, 0, 5, 1]
    found, worth = planned(table, states, horizon=3, beams=beams)
    for row, state in enumerate(states):
        alone, its_worth = planned(table, [state], horizon=3, beams=beams)
        assert found[row] == alone[0]
        torch.testing.assert_close(worth[row], its_worth[0])


class Counted(Table):
    """Says of how many rows each call of `imagine` was."""

    def __init__(self, seed: int, forbidden: bool) -> None:
        super().__init__(seed, forbidden)
        self.rows: list[int] = []

    def imagine(self, node: States, actions: Tensor) -> tuple[States, Tensor, Tensor]:
        self.rows.append(len(actions))
        return super().imagine(node, actions)


@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize("beams", [1, 2, 3, 5])
def test_the_first_step_imagines_no_action_twice(
    monkeypatch: pytest.MonkeyPatch, beams: int, forbidden: bool
) -> None:
    """And what is found is what more copies find, of which all more are alike."""
    table, states = Counted(4, forbidden), list(range(STATES))
    found, worth = planned(table, states, horizon=3, beams=beams)
    assert table.rows == [STATES * beams, STATES * beams**2, STATES * beams**2]

    def with_more(*parts: Any, first: int, **settings: Any) -> Any:
        assert first == beams
        return beam_search(*parts, **settings)

    monkeypatch.setattr(imagination, "beam_search", with_more)
    table.rows.clear()
    more, its_worth = planned(table, states, horizon=3, beams=beams)
    assert table.rows == [STATES * beams**2] * 3
    assert torch.equal(found, more)
    assert torch.equal(worth, its_worth)
