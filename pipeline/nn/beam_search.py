"""Beam search over what a model imagines: of every episode's beams only the best go on.

What a beam is, is the model's affair: a cache, tokens, a state. It is a batch of rows that can be
chosen from, `select(rows)`, and the rows of one episode lie together. No row is ever compared with
those of another episode, so no plan depends on who else is played.
"""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor


class Rows(Protocol):
    """A batch of partial plans, or whatever else is carried per row."""

    def select(self, rows: Tensor) -> Self:
        """The rows `rows` (int64 indices), of which some may be there twice."""
        ...


State = TypeVar("State", bound=Rows)


def beam_search(
    start: State,
    grow: Callable[[State], tuple[State, Tensor, Tensor]],
    settle: Callable[[State], State],
    *,
    episodes: int,
    horizon: int,
    beams: int,
    expand: int,
    first: int | None = None,
) -> tuple[State, Tensor]:
    """The best plan of each episode, one row each, and its score (episodes,).

    `start` has a row per episode. At each of `horizon` ≥ 1 steps every beam is copied `expand`
    times (an episode's first one `first` ≥ `beams` times, by default `beams · expand`, since draws
    may be alike). `grow` makes each copy a step longer: it says what was chosen (rows, choices)
    int64, and scores the rows (rows,). The best `beams` of each episode are kept, and `settle`
    imagines what follows, which only those need. Copies that chose the same are one plan: others
    make way for different ones, if there are enough of these.
    """
    state, same = start, torch.zeros(episodes, 1, dtype=torch.int64)
    for step in range(horizon):
        copies = expand if step else first or beams * expand
        rows = torch.arange(same.numel(), device=same.device).repeat_interleave(copies)
        state, chosen, scores = grow(state.select(rows))
        before = same.to(chosen.device).repeat_interleave(copies, dim=1)  # (episodes, copies)
        told = torch.cat((before[..., None], chosen.view(*before.shape, -1)), dim=-1)
        same = _first_equal(told)
        count = before.shape[1]
        other = same == torch.arange(count, device=same.device)
        ranked = scores.view(episodes, count).masked_fill(~other, -torch.inf)
        best = ranked.topk(1 if step == horizon - 1 else beams, dim=1).indices
        begin = torch.arange(episodes, device=same.device)[:, None] * count
        kept = (begin + best).flatten()
        state, same = state.select(kept), same.gather(1, best)
        if step == horizon - 1:
            return state, scores[kept]
        state = settle(state)
    raise ValueError("a plan has at least one step")


def _first_equal(plans: Tensor) -> Tensor:
    """Of each plan (episodes, rows, numbers) its episode's first row that is equal: (episodes,
    rows) int64.
    """
    equal = (plans[:, :, None] == plans[:, None]).all(dim=-1)  # (episodes, rows, rows)
    return equal.int().argmax(dim=-1)  # the first of several


def without_improbable(logits: Tensor, dropped: float) -> Tensor:
    """Probabilities (…, N) without the least probable tokens, which together have less than the
    mass `dropped`; the most probable one always stays. They add up to 1.
    """
    probabilities = logits.softmax(dim=-1)
    ascending, order = probabilities.sort(dim=-1)
    improbable = ascending.cumsum(dim=-1) < dropped
    improbable[..., -1] = False
    kept = probabilities.scatter_(-1, order, ascending.masked_fill_(improbable, 0))
    return kept / kept.sum(dim=-1, keepdim=True)


def drawn(probabilities: Tensor, noise: Tensor) -> Tensor:
    """A token of each row, from probabilities (…, N) by a draw (…) from N(0, 1): (…) int64.

    The same noise gives the same token whatever other rows there are.
    """
    reached = probabilities.cumsum(dim=-1)
    total = reached[..., -1:]
    # rounding must not choose a token without probability behind the last one that has some
    below = total * (1 - torch.finfo(total.dtype).eps)
    share = torch.minimum(torch.special.ndtr(noise)[..., None] * total, below)
    return torch.searchsorted(reached, share, right=True)[..., 0]
