"""Plans in what a token model imagines, by beam search over its actions.

Actions are drawn from the model, for it knows what was done in the data; states and rewards are
imagined as what is most probable, and scored by expectation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from pipeline.nn.beam_search import beam_search, drawn, without_improbable
from pipeline.nn.token_model import Columns, Continuation, TokenModel


class PlannerShape(Protocol):
    """What settings say of a planner."""

    @property
    def horizon(self) -> int:
        """H: steps of a plan; 0: none, what is most probable is done."""

    @property
    def beams(self) -> int:
        """B: partial plans that are kept."""

    @property
    def expand(self) -> int:
        """n: actions that are tried after each of them."""

    @property
    def dropped(self) -> float:
        """Mass of the least probable tokens of an action, which are never tried."""


@dataclass(frozen=True)
class Beams:
    """R partial plans."""

    hidden: Tensor
    """(R, width) after the last token."""
    past: Continuation
    first: Tensor
    """(R, A) int64: the first action."""
    paid: Tensor
    """(R,) Σ γ^i E[r_i] so far."""
    ended: Tensor
    """(R,) bool: imagined to have ended before."""
    step: int = 0

    def select(self, rows: Tensor) -> "Beams":
        """The rows `rows`."""
        rows = rows.to(self.hidden.device)
        own = {
            name: getattr(self, name).index_select(0, rows)
            for name in ("hidden", "first", "paid", "ended")
        }
        return replace(self, past=self.past.select(rows), **own)


@dataclass(frozen=True)
class Planner:
    """Plans for episodes that have been seen as tokens."""

    model: TokenModel
    columns: Columns
    settings: PlannerShape
    discount: float
    """γ of the model's values."""

    @torch.inference_mode()
    def action(self, seen: Tensor, noise: Callable[..., Tensor]) -> Tensor:
        """The first action of each episode's best plan, (episodes, A) int64.

        `seen` (episodes, tokens) ends with a whole state; `noise(*shape)` draws from N(0, 1) for
        each episode, (episodes, *shape).
        """
        planner = self.settings
        if planner.horizon == 0:
            return self.draw(self.begin(seen), None)[0]
        shape = planner.horizon, self.columns.actions, planner.beams * planner.expand
        draws = noise(*shape).permute(1, 2, 0, 3).flatten(2)  # (H, A, rows)
        best, _ = beam_search(
            self.begin(seen),
            lambda beams: self.grow(beams, draws[beams.step]),
            self.settle,
            episodes=len(seen),
            horizon=planner.horizon,
            beams=planner.beams,
            expand=planner.expand,
        )
        return best.first

    def begin(self, seen: Tensor) -> Beams:
        """An empty plan for each episode."""
        hidden, past = self.model.begin(seen)
        first, none = seen.new_zeros(len(seen), self.columns.actions), hidden.new_zeros(len(seen))
        return Beams(hidden, past, first, none, none.bool())

    def draw(self, beams: Beams, noise: Tensor | None) -> tuple[Tensor, Beams]:
        """An action of each row (R, A), by draws (A, R), or without any the most probable tokens;
        and the rows with it.
        """
        hidden, past, tokens = beams.hidden, beams.past, []
        for i in range(self.columns.actions):
            column = self.columns.states + i
            logits = past.bins(hidden, column)
            if noise is None:
                token = logits.argmax(dim=-1)
            else:
                token = drawn(without_improbable(logits, self.settings.dropped), noise[i])
            hidden, past = past.feed(token, column)
            tokens.append(token)
        return torch.stack(tokens, dim=-1), replace(beams, hidden=hidden, past=past)

    def grow(self, beams: Beams, noise: Tensor) -> tuple[Beams, Tensor, Tensor]:
        """Every row with an action and a reward more, the action (R, A), and Σ γ^i E[r_i] + γ^{t+1}
        E[V_t] of each.
        """
        action, grown = self.draw(beams, noise)
        logits = grown.past.bins(grown.hidden, self.columns.reward)
        reward = self.model.discretiser.expected(logits, self.columns.reward)
        hidden, past = grown.past.feed(logits.argmax(dim=-1), self.columns.reward)
        logits = past.bins(hidden, self.columns.value)
        value = self.model.discretiser.expected(logits, self.columns.value)
        discount = self.discount**beams.step
        # after an end nothing is paid
        paid = beams.paid + torch.where(beams.ended, 0, discount * reward)
        score = paid + torch.where(beams.ended, 0, discount * self.discount * value)
        first = beams.first if beams.step else action
        return replace(grown, hidden=hidden, past=past, first=first, paid=paid), action, score

    def settle(self, beams: Beams) -> Beams:
        """Every row with the state that most probably follows, or ended."""
        return self.state_after(beams)[0]

    def follow(self, beams: Beams, action: Tensor) -> tuple[Beams, Tensor]:
        """Every row with an `action` (R, A) that is given, the most probable reward, and the state
        (R, D) that most probably follows, which is returned as well.
        """
        hidden, past = beams.hidden, beams.past
        for i in range(self.columns.actions):
            hidden, past = past.feed(action[:, i], self.columns.states + i)
        logits = past.bins(hidden, self.columns.reward)
        hidden, past = past.feed(logits.argmax(dim=-1), self.columns.reward)
        return self.state_after(replace(beams, hidden=hidden, past=past))

    def state_after(self, beams: Beams) -> tuple[Beams, Tensor]:
        """Every row with the state (R, D) that most probably follows, and that state."""
        hidden, past, tokens = beams.hidden, beams.past, []
        first = self.model.predict(hidden, 0)
        ended = beams.ended | (first.argmax(dim=-1) == self.model.discretiser.end)
        for column in range(self.columns.states):
            token = past.bins(hidden, column).argmax(dim=-1)
            hidden, past = past.feed(token, column)
            tokens.append(token)
        grown = replace(beams, hidden=hidden, past=past, ended=ended, step=beams.step + 1)
        return grown, torch.stack(tokens, dim=-1)
