"""What JOWA is on the feature cache and on pixels alike: values that are read from the trunk of a
world model, what they are trained on, and plans in what that model imagines.
"""

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.config.methods._jowa import JowaSettings
from pipeline.methods import Learner, Moment, Spec
from pipeline.methods._imagined_plans import planned_action
from pipeline.nn.beam_search import Rows
from pipeline.nn.categorical_values import CategoricalHead, Support, cross_entropy
from pipeline.nn.masking import masked_mean
from pipeline.nn.value_heads import of_action
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import n_step_inside
from pipeline.observations.recorded_returns import RecordedReturns


class Outcome(Protocol):
    """What a world model says of a step beside what follows."""

    @property
    def reward(self) -> Tensor:
        """(…, 3) logits of its sign."""

    @property
    def end(self) -> Tensor:
        """(…) logit."""


class Imagined(Rows, Protocol):
    """Episodes at one step, seen or imagined."""

    @property
    def hidden(self) -> Tensor:
        """(rows, width): what values are read from."""

    @property
    def task(self) -> Tensor:
        """(rows,) int64."""


Node = TypeVar("Node", bound=Imagined)


class JowaLearner(Learner, Generic[Node]):
    """The learner; a method says what its world model is, and what that is trained on."""

    settings: JowaSettings
    of_data: ClassVar[tuple[str, ...]] = ("scales",)
    allowed: Tensor
    """(games, actions) bool."""
    scales: Tensor
    """(games,) what discounted returns of each game are divided by."""

    def __init__(self, settings: JowaSettings, spec: Spec) -> None:
        """In training the statistics of each game have its `trajectories`."""
        super().__init__(settings, spec)
        told = spec.per_task or (spec.statistics,)
        actions = spec.choices.size
        self.make_world(told, actions)
        self.support = Support(settings.lowest_return, settings.highest_return, settings.atoms)
        self.q = CategoricalHead(settings.width, actions, self.support)
        self.value = CategoricalHead(settings.width, 1, self.support)
        self.target = copy.deepcopy(self.q).requires_grad_(False)
        self.register_buffer("allowed", spec.allowed, persistent=False)
        self.register_buffer("scales", torch.ones(len(told)))
        if data := [each["trajectories"] for each in told if "trajectories" in each]:
            self.recorded = RecordedReturns(data, settings.discount, settings.unknown_steps)
            self.scales.copy_(self.recorded.scales)

    @abstractmethod
    def make_world(self, told: tuple[Mapping[str, Any], ...], actions: int) -> None:
        """Make the world model, from the statistics of each game."""

    @abstractmethod
    def parts(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Q(s, ·) of each step (B, K, actions), −∞ where not allowed, and the losses' parts."""

    @abstractmethod
    def world_error(self, parts: Mapping[str, Tensor]) -> Tensor:
        """What the world model is trained on, of `parts`."""

    @abstractmethod
    def follow(self, now: Node, actions: Tensor) -> tuple[Node, Outcome]:
        """What is imagined after actions (rows,) int64, and how the step ends."""

    # Losses.

    def joint_losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """w · world + ½ · (TD and recorded returns) + α · CQL; V; then the target head follows."""
        _, parts = self.parts(batch)
        yield "policy", self.total(parts)
        yield "value", parts["value_error"]
        with torch.no_grad():
            for theirs, ours in zip(self.target.parameters(), self.q.parameters(), strict=True):
                theirs.lerp_(ours, 1 - self.settings.target_decay)

    def total(self, parts: Mapping[str, Tensor]) -> Tensor:
        """What the trunk and Q are trained on."""
        settings, share = self.settings, self.settings.recorded_share
        value = (1 - share) * parts["td_error"] + share * parts["recorded_error"]
        return (
            settings.world_loss_weight * self.world_error(parts)
            + settings.value_loss_weight * value
            + settings.conservative_weight * parts["conservative_error"]
        )

    def value_errors(self, hidden: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """See `parts`; of Q to temporal differences and to recorded returns, of CQL, and of V; and
        for the curve Q(s, a) and the recorded return, in discounted signs of rewards. Where they
        are not joint, no gradient goes to `hidden` (B, K, width).
        """
        settings, scale = self.settings, self.scales[batch.task, None]
        hidden = hidden if settings.joint else hidden.detach()
        logits = self.q(hidden)  # (B, K, actions, N)
        q, chosen = self.worth(logits, batch.task), of_action(logits, batch.actions)
        paid = batch.rewards.sign() / scale
        told = n_step_inside(batch, settings.n_step, settings.discount, paid)
        with torch.no_grad():
            after = self.target(hidden)  # of the same trunk
            best = self.worth(after, batch.task).argmax(dim=-1)
            following = told.after(of_action(after, best).softmax(dim=-1))  # (B, K, N)
            # R + γ^h z, and R alone where the episode has ended
            returns = told.rewards[..., None] + told.discounts[..., None] * self.support.atoms
            goal = self.support.projected(returns, following)
        returns, known = self.recorded(batch)
        recorded, value = self.support.at(returns), self.value(hidden.detach())[..., 0, :]
        softer = (q / settings.value_temperature).transpose(1, 2)
        gap = functional.cross_entropy(softer, batch.actions, reduction="none")
        return q, {
            "td_error": masked_mean(self.error(chosen, goal), told.mask),
            "recorded_error": masked_mean(self.error(chosen, recorded), known),
            "conservative_error": masked_mean(gap, batch.mask),
            "value_error": masked_mean(cross_entropy(value, recorded), known),
            "q": masked_mean(scale * self.support.mean(chosen).detach(), known),
            "return": masked_mean(scale * returns, known),
        }

    def error(self, logits: Tensor, goals: Tensor) -> Tensor:
        """Of values (…, N) to the distributions `goals` (…, N)."""
        if self.settings.value_loss == "categorical":
            return cross_entropy(logits, goals)
        return (self.support.mean(logits) - (goals * self.support.atoms).sum(dim=-1)).square()

    def worth(self, logits: Tensor, task: Tensor) -> Tensor:
        """Q (B, …, actions) of logits (B, …, actions, N); −∞ where an action is not allowed."""
        q = self.support.mean(logits)
        allowed = self.allowed[task].view(len(q), *[1] * (q.dim() - 2), -1)
        return q.masked_fill(~allowed, -torch.inf)

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Q / τ, and the parts of the loss."""
        q, parts = self.parts(batch)
        return q / self.settings.value_temperature, {"loss": self.total(parts), **parts}

    # Act, and imagine.

    def planned(self, now: Node, moment: Moment) -> Tensor:
        """The first action (episodes,) int64 of the best plan of each row."""
        planner, actions = self.settings.planner, self.allowed.shape[1]
        return planned_action(
            self, now, moment, planner, discount=self.settings.discount, actions=actions
        )

    def preferred(self, hidden: Tensor, task: Tensor) -> Tensor:
        """Q / τ (rows, actions) at h (rows, width)."""
        return self.worth(self.q(hidden), task) / self.settings.value_temperature

    def log_prior(self, now: Node) -> Tensor:
        """log softmax(Q / τ)."""
        return self.preferred(now.hidden, now.task).log_softmax(dim=-1)

    def imagine(self, now: Node, actions: Tensor) -> tuple[Node, Tensor, Tensor]:
        """The next step, the scaled reward, and the probability that the episode goes on."""
        then, told = self.follow(now, actions)
        if self.settings.planner.imagined == "mode":
            sign, going_on = told.reward.argmax(dim=-1) - 1.0, torch.ones_like(told.end)
        else:
            less, _, more = told.reward.softmax(dim=-1).unbind(dim=-1)
            sign, going_on = more - less, torch.sigmoid(-told.end)
        return then, sign / self.scales[now.task], going_on

    def leaf(self, now: Node) -> Tensor:
        """V, or the largest Q."""
        if self.settings.planner.leaf == "value":
            return self.support.mean(self.value(now.hidden))[..., 0]
        return self.worth(self.q(now.hidden), now.task).amax(dim=-1)
