"""Beam search over codes: equal to trying all of them where there is room for all."""

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.nn.latent_search import gumbel, latent_search

K, M, EPISODES = 3, 3, 4
SEARCH: dict[str, Any] = {"beams": 9, "expand": 3, "threshold": 0.05, "support_weight": 0.0}


class World:
    """Random tables of what codes are worth and how probable the next one is."""

    def __init__(self, rows: list[int]) -> None:
        torch.manual_seed(1)
        tables = torch.randn(EPISODES, *[K + 1] * M), torch.randn(EPISODES, *[K + 1] * M, K)
        self.values, self.next = (table[rows] for table in tables)
        self.episodes = len(rows)

    def place(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Where a row's codes stand in the tables; K means: none yet."""
        rows, steps = codes.shape
        own = torch.arange(self.episodes).repeat_interleave(rows // self.episodes)
        whole = torch.nn.functional.pad(codes, (0, M - steps), value=K)
        return own, *whole.unbind(dim=1)

    def logits(self, codes: Tensor) -> Tensor:
        return self.next[self.place(codes)]

    def worth(self, codes: Tensor) -> Tensor:
        return self.values[self.place(codes)]


@dataclass(frozen=True)
class Codes:
    """Plans in such a world, of which nothing but the codes is remembered."""

    world: World
    codes: Tensor

    def select(self, rows: Tensor) -> "Codes":
        return Codes(self.world, self.codes[rows])

    def propose(self) -> tuple[Tensor, "Codes"]:
        return self.world.logits(self.codes), self

    def append(self, codes: Tensor) -> "Codes":
        return Codes(self.world, torch.cat((self.codes, codes[:, None]), dim=1))


def found(world: World, noise: Tensor | None = None, **changed: Any) -> Tensor:
    settings = {**SEARCH, **changed}
    if noise is None:
        noise = torch.zeros(world.episodes, M, settings["beams"], K)
    start = Codes(world, torch.zeros(world.episodes, 0, dtype=torch.int64))
    return latent_search(start, lambda plans: world.worth(plans.codes), noise, **settings).codes


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_with_room_for_all_it_tries_all(weight: float) -> None:
    world = World([*range(EPISODES)])
    best = found(world, support_weight=weight, threshold=0.3)
    for episode in range(EPISODES):
        scores = {}
        alone = World([episode])
        for codes in product(range(K), repeat=M):
            support = 0.0
            for m in range(M):
                log_p = alone.logits(torch.tensor([codes[:m]]).long().view(1, m)).log_softmax(-1)
                support += min(float(log_p[0, codes[m]]), math.log(0.3))
            scores[codes] = float(alone.worth(torch.tensor([codes]))) + weight * support
        assert tuple(best[episode].tolist()) == max(scores, key=scores.__getitem__)


def test_no_plan_depends_on_the_other_episodes() -> None:
    noise = gumbel(torch.randn(EPISODES, M, 2, K))
    narrow = {"beams": 2, "expand": 2}
    together = found(World([*range(EPISODES)]), noise, **narrow)
    rows = [3, 1]
    assert torch.equal(found(World(rows), noise[rows], **narrow), together[rows])


def test_likely_codes_are_ranked_by_worth_alone() -> None:
    """Where every code is more probable than the threshold, support is the same for all."""
    world = World([*range(EPISODES)])
    world.next = torch.zeros_like(world.next)  # a third each
    plain = found(world)
    assert torch.equal(found(world, support_weight=500.0, threshold=0.3), plain)


def test_an_improbable_code_is_not_made_good_by_others() -> None:
    """Two plans of equal worth: one with codes of p .9, .9, .01, another with .3, .3, .3."""
    world = World([0])
    world.values.zero_()
    table = torch.full_like(world.next, 1e-9)
    table[0, K, K, K] = torch.tensor([0.69, 0.3, 0.01])  # first code: 0 or 1
    table[0, 0] = torch.tensor([0.69, 0.3, 0.01])
    table[0, 1] = torch.tensor([0.34, 0.33, 0.33])
    world.next = table.log()
    world.values[0, 0] = -9.0  # plans that begin with 0 are worth less, but for one
    world.values[0, 0, :, 2] = 1.0
    assert found(world, threshold=0.3, support_weight=5.0)[0, 0] == 1
    assert found(world, threshold=1e-3, support_weight=5.0)[0].tolist()[::2] == [0, 2]


def test_one_beam_without_a_choice_draws_from_the_prior() -> None:
    """In the shares that the prior gives, and the most probable codes without noise."""
    world, draws = World([0]), 4000
    torch.manual_seed(0)
    world.next, world.values = (x.expand(draws, *x.shape[1:]) for x in (world.next, world.values))
    world.episodes = draws
    narrow = {"beams": 1, "expand": 1}
    codes = found(world, gumbel(torch.randn(draws, M, 1, K)), **narrow)
    first = world.next[0, K, K, K].softmax(dim=-1)
    shares = torch.bincount(codes[:, 0], minlength=K) / draws
    torch.testing.assert_close(shares, first, atol=0.03, rtol=0)
    greedy = found(world, **narrow)
    assert (greedy[:, 0] == first.argmax()).all()


def test_gumbel_s_draws_are_finite() -> None:
    drawn = gumbel(torch.tensor([-40.0, -5.0, 0.0, 5.0, 40.0]))
    assert drawn.isfinite().all()
    assert (drawn.diff() >= 0).all()
    assert float(gumbel(torch.randn(100_000)).mean()) == pytest.approx(0.5772, abs=0.02)
