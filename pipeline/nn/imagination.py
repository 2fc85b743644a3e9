"""Plans in a model of an environment with discrete actions: a beam search in which every node is
followed by its most probable actions.

A plan a_0 … a_{H−1} is worth Σ_d γ^d S_d r_d + γ^H S_H · leaf + η Σ_d log π(a_d), S_d = Π_{k<d}
(probability that the episode goes on after step k). All episodes and beams are one batch.
"""

from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from pipeline.nn.beam_search import Rows, beam_search

Node = TypeVar("Node", bound=Rows)


class Model(Protocol[Node]):
    """What is imagined; a node is a batch of rows that have come equally far."""

    def log_prior(self, node: Node) -> Tensor:
        """log π(a) of each action (rows, actions); −∞ of those that are not allowed."""
        ...

    def imagine(self, node: Node, actions: Tensor) -> tuple[Node, Tensor, Tensor]:
        """What follows actions (rows,) int64, the reward (rows,), and the probability (rows,) that
        the episode goes on.
        """
        ...

    def leaf(self, node: Node) -> Tensor:
        """What is to be expected from here on, (rows,)."""
        ...


@dataclass(frozen=True)
class Plans(Generic[Node]):
    """Partial plans of equal length, those of an episode together."""

    node: Node
    beam: Tensor
    """(rows,) int64, not decreasing: which beam of the last step each is a copy of."""
    first: Tensor
    """(rows,) int64: its first action."""
    paid: Tensor
    """(rows,) Σ_d γ^d S_d r_d so far."""
    going_on: Tensor
    """(rows,) S_d."""
    prior: Tensor
    """(rows,) Σ_d log π(a_d) so far."""
    steps: int = 0

    def select(self, rows: Tensor) -> "Plans[Node]":
        """The rows `rows`."""
        kept = {
            name: getattr(self, name)[rows]
            for name in ("beam", "first", "paid", "going_on", "prior")
        }
        return replace(self, node=self.node.select(rows), **kept)


def plan(
    model: Model[Node],
    start: Node,
    *,
    episodes: int,
    horizon: int,
    beams: int,
    prior_weight: float,
    discount: float,
    noise: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The first action (episodes,) int64 of each episode's best plan, and what that is worth.

    `start` has a row per episode. At each of `horizon` ≥ 1 steps every node is followed by its
    `beams` most probable actions, and the best `beams` plans of an episode are kept. `noise`
    (episodes, actions) is added to log π of the first actions.
    """
    begin = model.log_prior(start)[:, 0]
    zero, index = torch.zeros_like(begin), torch.arange(episodes, device=begin.device)
    plans = Plans(start, index, torch.zeros_like(index), zero, torch.ones_like(zero), zero)

    def grow(plans: Plans[Node]) -> tuple[Plans[Node], Tensor, Tensor]:
        """Each copy of a beam takes an action that is the next less probable one."""
        log_prior = model.log_prior(plans.node)
        if noise is not None and plans.steps == 0:
            log_prior = log_prior + noise[plans.beam]
        told, actions = _ranked(log_prior, plans.beam, beams)
        node, rewards, goes_on = model.imagine(plans.node, actions)
        grown = Plans(
            node,
            plans.beam,
            plans.first if plans.steps else actions,
            plans.paid + discount**plans.steps * plans.going_on * rewards,
            plans.going_on * goes_on,
            plans.prior + told,
            plans.steps + 1,
        )
        left = discount**grown.steps * grown.going_on * model.leaf(node)
        return grown, actions[:, None], grown.paid + left + prior_weight * grown.prior

    def settle(plans: Plans[Node]) -> Plans[Node]:
        """What is kept are the next step's beams."""
        return replace(plans, beam=torch.arange(len(plans.beam), device=plans.beam.device))

    best, worth = beam_search(
        plans,
        grow,
        settle,
        episodes=episodes,
        horizon=horizon,
        beams=beams,
        expand=beams,
        first=beams,  # any more copies would take the same actions again
    )
    return best.first, worth


def _ranked(log_prior: Tensor, beam: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The i-th most probable action for the i-th copy of a beam, and its log π: (rows,) each.

    Where fewer actions are allowed, they begin anew: such copies are equal plans, which make way
    for others.
    """
    copy = torch.arange(len(beam), device=beam.device) - torch.searchsorted(beam, beam)
    ordered, actions = log_prior.topk(min(count, log_prior.shape[1]), dim=1)
    allowed = ordered.isfinite().sum(dim=1)
    place = (copy % allowed)[:, None]
    return ordered.gather(1, place)[:, 0], actions.gather(1, place)[:, 0]
