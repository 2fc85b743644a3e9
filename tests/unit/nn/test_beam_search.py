"""Beam search against an exhaustive search in models that are small enough for one."""

from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from torch import Tensor

from pipeline.nn.beam_search import beam_search, drawn, without_improbable

STATES, ACTIONS, DISCOUNT = 5, 3, 0.9


@dataclass(frozen=True)
class Plans:
    """Partial plans in a table of next states and rewards; the actions come from a list in turn."""

    state: Tensor
    taken: Tensor
    """(rows, H), −1 where nothing is planned yet."""
    paid: Tensor
    step: int = 0

    def select(self, rows: Tensor) -> "Plans":
        return replace(self, state=self.state[rows], taken=self.taken[rows], paid=self.paid[rows])


class Table:
    """A world whose next states, rewards and values are looked up."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.following = torch.randint(0, STATES, (STATES, ACTIONS), generator=generator)
        self.rewards = torch.randn(STATES, ACTIONS, generator=generator)
        self.values = torch.randn(STATES, generator=generator)

    def begin(self, states: list[int], horizon: int) -> Plans:
        count = len(states)
        taken = torch.full((count, horizon), -1)
        return Plans(torch.tensor(states), taken, torch.zeros(count))

    def grow(self, plans: Plans) -> tuple[Plans, Tensor, Tensor]:
        """Copy i of a beam takes action i mod A."""
        action = torch.arange(len(plans.state)) % ACTIONS
        taken = plans.taken.clone()
        taken[:, plans.step] = action
        discount = DISCOUNT**plans.step
        paid = plans.paid + discount * self.rewards[plans.state, action]
        following = self.following[plans.state, action]
        score = paid + discount * DISCOUNT * self.values[following]
        return replace(plans, state=following, taken=taken, paid=paid), action[:, None], score

    def settle(self, plans: Plans) -> Plans:
        return replace(plans, step=plans.step + 1)

    def exhaustive(self, start: int, horizon: int) -> tuple[float, tuple[int, ...]]:
        best = (-torch.inf, ())
        for actions in product(range(ACTIONS), repeat=horizon):
            state, total = start, 0.0
            for t, action in enumerate(actions):
                total += DISCOUNT**t * float(self.rewards[state, action])
                state = int(self.following[state, action])
            total += DISCOUNT**horizon * float(self.values[state])
            best = max(best, (total, actions))
        return best


def searched(table: Table, starts: list[int], horizon: int, beams: int) -> tuple[Plans, Tensor]:
    return beam_search(
        table.begin(starts, horizon),
        table.grow,
        table.settle,
        episodes=len(starts),
        horizon=horizon,
        beams=beams,
        expand=ACTIONS,
    )


@pytest.mark.parametrize("horizon", [1, 2, 4])
@pytest.mark.parametrize("seed", range(5))
def test_with_beams_for_all_plans_it_is_exhaustive(seed: int, horizon: int) -> None:
    table, starts = Table(seed), [0, 3, 3, 1]
    plans, scores = searched(table, starts, horizon, beams=ACTIONS**horizon)
    for row, start in enumerate(starts):
        score, actions = table.exhaustive(start, horizon)
        assert float(scores[row]) == pytest.approx(score, rel=1e-5)
        assert tuple(plans.taken[row].tolist()) == actions


def test_equal_plans_take_up_one_beam() -> None:
    """All copies of a beam choose alike, but for one that chooses what looks worse."""
    table = Table(0)
    table.following = torch.tensor([[1, 2]] + [[0, 0]] * 4)
    table.rewards = torch.zeros(STATES, 2)
    table.values = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])
    table.rewards[2] = 5.0  # what the other one leads to

    def grow(plans: Plans) -> tuple[Plans, Tensor, Tensor]:
        action = (torch.arange(len(plans.state)) == 3).long()
        taken = plans.taken.clone()
        taken[:, plans.step] = action
        paid = plans.paid + table.rewards[plans.state, action]
        following = table.following[plans.state, action]
        grown = replace(plans, state=following, taken=taken, paid=paid)
        return grown, action[:, None], paid + table.values[following]

    plans, scores = beam_search(
        table.begin([0], 2), grow, table.settle, episodes=1, horizon=2, beams=2, expand=2
    )
    assert float(scores[0]) == 5.0
    assert plans.taken[0, 0] == 1


def test_few_beams_find_less() -> None:
    """The test above can fail: a single beam is greedy, and at times it is wrong."""
    found = []
    for seed in range(10):
        table = Table(seed)
        _, scores = searched(table, [0], 4, beams=1)
        found.append(float(scores[0]) - table.exhaustive(0, 4)[0])
    assert max(found) <= 1e-5
    assert min(found) < -0.1


@pytest.mark.parametrize("beams", [1, 4])
def test_no_plan_depends_on_the_other_episodes(beams: int) -> None:
    table, starts = Table(1), [4, 0, 2]
    together, scores = searched(table, starts, 3, beams)
    for row, start in enumerate(starts):
        alone, score = searched(table, [start], 3, beams)
        assert torch.equal(together.taken[row], alone.taken[0])
        assert scores[row] == score[0]


def test_improbable_tokens_are_dropped_up_to_a_mass_and_never_all() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]]).log()
    torch.testing.assert_close(without_improbable(logits, 0.0), logits.exp())
    kept = without_improbable(logits, 0.35)
    torch.testing.assert_close(kept[0], torch.tensor([0, 0, 3 / 7, 4 / 7]))
    assert (kept[1] > 0).sum() == 3  # tied tokens are not all dropped at once
    torch.testing.assert_close(without_improbable(logits, 1.0)[0], torch.tensor([0, 0, 0, 1.0]))
    torch.testing.assert_close(kept.sum(dim=-1), torch.ones(2))


def test_draws_have_the_probabilities_that_are_asked_for() -> None:
    probabilities = torch.tensor([0.0, 0.5, 0.2, 0.3, 0.0])
    noise = torch.randn(40_000, generator=torch.Generator().manual_seed(0))
    tokens = drawn(probabilities.expand(len(noise), -1), noise)
    shares = torch.bincount(tokens, minlength=5) / len(noise)
    torch.testing.assert_close(shares, probabilities, atol=0.01, rtol=0)
    extreme = drawn(probabilities.expand(2, -1), torch.tensor([-40.0, 40.0]))
    assert extreme.tolist() == [1, 3]
