"""JOWA (Cheng et al. 2024, arXiv 2410.00564) on the feature cache: one transformer is the world
model of one or several games and reads their values, and plans in what it imagines.

What enters: O_t as masked tokens, and the actions, rewards and ends of windows. What leaves: logits
Q(s, a) / τ or, with a planner, the first action of the best plan. Only JOWA's equations are taken,
none of its code; what differs, and why, is in docs/planners.md.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.methods.jowa import Settings
from pipeline.methods import Learner, Moment, Spec
from pipeline.methods._discrete_values import discrete_choices
from pipeline.methods._world_errors import world_errors
from pipeline.nn.categorical_values import CategoricalHead, Support, cross_entropy
from pipeline.nn.imagination import plan
from pipeline.nn.kv_cache import TransformerState
from pipeline.nn.masking import masked_mean
from pipeline.nn.step_world import Step, StepWorld
from pipeline.nn.value_heads import of_action
from pipeline.observations.batch import Batch
from pipeline.observations.n_step import n_step_inside
from pipeline.observations.recorded_returns import RecordedReturns


class JOWA(Learner):
    """The learner; see the module."""

    settings: Settings
    of_data: ClassVar[tuple[str, ...]] = ("scales",)
    allowed: Tensor
    """(games, actions) bool."""
    scales: Tensor
    """(games,) what discounted returns of each game are divided by."""

    def __init__(self, settings: Settings, spec: Spec) -> None:
        """Of each game's statistics, see `StepWorld`; in training they have its `trajectories`.

        Raises PipelineError where actions are continuous.
        """
        super().__init__(settings, spec)
        told, width, actions = (
            spec.per_task or (spec.statistics,),
            settings.width,
            discrete_choices(spec).size,
        )
        self.world = StepWorld(settings, spec.shape["tokens"][1], told, actions)
        self.support = Support(settings.lowest_return, settings.highest_return, settings.atoms)
        self.q = CategoricalHead(width, actions, self.support)
        self.value = CategoricalHead(width, 1, self.support)
        self.target = copy.deepcopy(self.q).requires_grad_(False)
        self.register_buffer("allowed", spec.allowed, persistent=False)
        self.register_buffer("scales", torch.ones(len(told)))
        data = [each["trajectories"] for each in told if "trajectories" in each]
        if data:
            self.recorded = RecordedReturns(data, settings.discount, settings.unknown_steps)
            self.scales.copy_(self.recorded.scales)

    def optimised(self) -> Mapping[str, nn.Module]:
        """World and Q together; V, which reads the trunk as it is, on its own."""
        return {"policy": nn.ModuleList([self.world, self.q]), "value": self.value}

    # Losses.

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """w · world + ½ · (TD and recorded returns) + α · CQL; V; then the target head follows."""
        _, parts = self.parts(batch)
        yield "policy", self.total(parts)
        yield "value", parts["value_error"]
        with torch.no_grad():
            for theirs, ours in zip(self.target.parameters(), self.q.parameters(), strict=True):
                theirs.lerp_(ours, 1 - self.settings.target_decay)

    def total(self, parts: Mapping[str, Tensor]) -> Tensor:
        """What the trunk and Q are trained on."""
        of, settings = parts, self.settings
        world = of["latent_error"] + of["reward_error"] + of["end_error"]
        world = world + settings.decoder_loss_weight * (of["decoder_error"] + of["imagined_error"])
        share = settings.recorded_share
        value = (1 - share) * of["td_error"] + share * of["recorded_error"]
        return (
            settings.world_loss_weight * world
            + settings.value_loss_weight * value
            + settings.conservative_weight * of["conservative_error"]
        )

    def parts(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Q(s, ·) of each step (B, K, actions), −∞ where not allowed, and the losses' parts."""
        x = self.world.encode(batch.observation, batch.task)  # (B, K, width)
        hidden = self.world.hidden(x, batch.task, batch.timesteps, batch.mask)
        q, values = self.value_errors(hidden if self.settings.joint else hidden.detach(), batch)
        return q, {**world_errors(self.world, x, hidden, batch), **values}

    def value_errors(self, hidden: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """See `parts`; of Q to temporal differences and to recorded returns, of CQL, and of V; and
        for the curve Q(s, a) and the recorded return, in discounted signs of rewards.
        """
        settings, scale = self.settings, self.scales[batch.task, None]
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

    def start(self, episodes: int) -> TransformerState:
        """Nothing is remembered before the first step."""
        return TransformerState()

    def act(self, moment: Moment, state: TransformerState) -> tuple[Tensor, TransformerState]:  # type: ignore[override]
        """Q / τ, or the first action of the best plan."""
        x = self.world.encode(moment.observation, moment.task)[:, 0]
        now = self.world.step(x, moment.task, moment.timestep, state)
        planner = self.settings.planner
        if planner.horizon == 0:
            return self.logits(now), now.memory
        action, _ = plan(
            self,
            now,
            episodes=len(x),
            horizon=planner.horizon,
            beams=planner.beams,
            prior_weight=planner.prior_weight,
            discount=self.settings.discount,
        )
        return action, now.memory

    def logits(self, now: Step) -> Tensor:
        """Q / τ."""
        return self.worth(self.q(now.hidden), now.task) / self.settings.value_temperature

    def log_prior(self, now: Step) -> Tensor:
        """log softmax(Q / τ)."""
        return self.logits(now).log_softmax(dim=-1)

    def imagine(self, now: Step, actions: Tensor) -> tuple[Step, Tensor, Tensor]:
        """The next step, the scaled reward, and the probability that the episode goes on."""
        then, told = self.world.imagine(now, actions)
        if self.settings.planner.imagined == "mode":
            sign, going_on = told.reward.argmax(dim=-1) - 1.0, torch.ones_like(told.end)
        else:
            less, _, more = told.reward.softmax(dim=-1).unbind(dim=-1)
            sign, going_on = more - less, torch.sigmoid(-told.end)
        return then, sign / self.scales[now.task], going_on

    def leaf(self, now: Step) -> Tensor:
        """V, or the largest Q."""
        if self.settings.planner.leaf == "value":
            return self.support.mean(self.value(now.hidden))[..., 0]
        return self.worth(self.q(now.hidden), now.task).amax(dim=-1)
