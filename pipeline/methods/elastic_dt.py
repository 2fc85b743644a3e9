"""Elastic Decision Transformer (Wu et al. 2023, arXiv 2307.02484): how much of an episode it looks
back on is chosen anew at every step, so that it leaves behind what a better player would not have
done.

A step is (s_t, R̂_t, a_t). Later returns than a window's first are hidden from all other tokens. At
s_t two heads read returns: their distribution in bins, and their τ-expectile R̃_t, the largest that
such a history promises. At R̂_t a head reads a_t, and with it another the next state. In play the
histories that begin at every second step are tried side by side, and the action of the one that
promises most is taken. What differs from the reference is in docs/several_games.md.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.methods.elastic_dt import Settings
from pipeline.methods import Learner, Moment, Spec
from pipeline.nn.action_head import ActionEmbedding, ActionHead
from pipeline.nn.critics import expectile_loss
from pipeline.nn.dropout import HistoryDropout
from pipeline.nn.kv_cache import Positions
from pipeline.nn.masking import first_real, only_allowed, weighted_loss
from pipeline.nn.recent_steps import RecentSteps
from pipeline.nn.return_bins import ReturnBins, drawn, of_experts, uniform
from pipeline.nn.state_encoders import StateEncoder
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.transformer import Transformer
from pipeline.nn.value_heads import StepFeatures
from pipeline.observations.batch import Batch


class Window(NamedTuple):
    """What the transformer reads: B windows of S steps, whose last action it does not read."""

    states: Tensor  # (B, S, width), encoded
    returns: Tensor  # (B, S), scaled as in training
    actions: Tensor  # (B, S, …)
    timesteps: Tensor  # (B, S) int64
    mask: Tensor  # (B, S) bool


class ElasticDecisionTransformer(Learner):
    """The learner; see the module."""

    settings: Settings
    allowed: Tensor
    """(tasks, actions) bool, where actions are discrete."""

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        self.choices, width, queries = spec.choices, settings.width, settings.pooling_queries
        self.features = StepFeatures(spec.shape, spec.statistics, width, queries, spec.per_task)
        self.bins = ReturnBins(settings.return_bins)
        self.returns = nn.Linear(1, width)
        self.actions = ActionEmbedding(self.choices, width)
        self.hide = HistoryDropout(settings.history_dropout)
        self.time = TimeEmbedding(settings.time_embedding, width, settings.max_timesteps)
        self.norm = nn.LayerNorm(width)
        self.transformer = Transformer(
            settings,
            attention_span=settings.context_length - 1,
            relative=settings.time_embedding == "relative",
        )
        self.return_head = nn.Linear(width, settings.return_bins)
        self.promise_head = nn.Linear(width, 1)
        self.action_head = ActionHead(width, self.choices)
        self.next_state = None
        if "state" in spec.shape and settings.state_weight:
            self.next_state = nn.Linear(width + self.choices.size, spec.shape["state"][0])
        if not self.choices.continuous:
            self.register_buffer("allowed", spec.allowed, persistent=False)
        told = spec.per_task or (spec.statistics,)
        if all("trajectories" in each for each in told):  # in training
            ends = [each["trajectories"].returns_to_go / each["return_scale"] for each in told]
            self.bins.fit(min(x.min() for x in ends), max(x.max() for x in ends))

    # Attend.

    def attend(self, window: Window) -> tuple[Tensor, Tensor]:
        """Hidden states at s_t and at R̂_t, each (B, S, width)."""
        steps, time = window.mask.shape[1], self.time(window.timesteps)
        level = self.bins.level(window.returns)[..., None]  # the nearest bin, from −1 to 1
        tokens = window.states, self.returns(level), self.hide(self.actions(window.actions))
        x = torch.stack([token + time for token in tokens], dim=2)  # (B, S, 3, width)
        first = first_real(window.mask)
        seen = torch.stack((window.mask, first, window.mask), dim=2)  # of returns the first alone
        x, seen = self.norm(x).flatten(1, 2)[:, :-1], seen.flatten(1)[:, :-1]
        hidden, _ = self.transformer(x, Positions.of_steps(0, steps, 3).slice(0, -1), seen)
        return hidden[:, 0::3], hidden[:, 1::3]

    # Heads.

    def promise(self, at_state: Tensor) -> Tensor:
        """R̃_t (…), from hidden states (…, width) at s_t."""
        promised: Tensor = self.promise_head(at_state)[..., 0]
        return promised.float()

    def would(self, at_return: Tensor, task: Tensor) -> Tensor:
        """Logits or actions (B, …), from hidden states (B, …, width) at R̂_t."""
        read: Tensor = self.action_head(at_return)
        return read if self.choices.continuous else only_allowed(read, self.allowed[task])

    # Losses.

    def errors(self, batch: Batch) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]:
        """What is read for a_t, (B, K, …); and the errors of actions, returns, promises and next
        states (B, K), and which of them count.
        """
        returns, mask = batch.returns_to_go, batch.mask
        states = self.features(batch.observation, batch.task)
        window = Window(states, returns, batch.actions, batch.timesteps, mask)
        at_state, at_return = self.attend(window)
        read = self.would(at_return, batch.task)
        logits = self.return_head(at_state).float().transpose(1, 2)
        nats = functional.cross_entropy(logits, self.bins.encode(returns), reduction="none")
        # |τ − 1{R̂ < R̃}| (R̂ − R̃)²
        short = expectile_loss(returns - self.promise(at_state), self.settings.expectile)
        action = self.action_head.error(read, batch.actions)
        errors = {"action": (action, mask), "return": (nats, mask), "promise": (short, mask)}
        if self.next_state is not None:
            encoder = self.features.encoder
            assert isinstance(encoder, StateEncoder)
            chosen = read if self.choices.continuous else read.softmax(dim=-1)
            imagined = self.next_state(torch.cat((at_return, chosen), dim=-1)).float()
            after = encoder.standardised(batch.observation["state"])[:, 1:]
            error = (imagined[:, :-1] - after).square().mean(dim=-1)
            errors["state"] = error, mask[:, :-1] & mask[:, 1:]
        return read, errors

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """Error of a_t + .001 CE of R̂_t + .5 expectile loss of R̃_t + error of s_{t+1}."""
        yield "policy", self.read(batch)[1]["loss"]

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What it would do, the loss, and its parts."""
        of = self.settings
        weights = {"return": of.return_weight, "promise": of.expectile_weight}
        weights |= {"action": 1.0, "state": of.state_weight}
        read, errors = self.errors(batch)
        loss, means = weighted_loss(errors, weights)
        return read, {"loss": loss, **{f"{name}_loss": mean for name, mean in means.items()}}

    # Act.

    def start(self, episodes: int) -> RecentSteps:
        """Nothing has been seen yet."""
        return RecentSteps()

    def act(self, moment: Moment, state: RecentSteps) -> tuple[Tensor, RecentSteps]:  # type: ignore[override]
        """What the history that promises most says about a_t."""
        step = {
            "state": self.features(moment.observation, moment.task),
            "told": moment.return_to_go,
            "before_action": moment.previous_action,
            "timestep": moment.timestep,
        }
        state = state.followed_by(step, self.settings.context_length)
        starts = len(range(0, state["told"].shape[1], self.settings.start_every))
        noise = moment.noise(starts, state["told"].shape[1])
        return self.search(state, uniform(noise), moment.task), state

    def search(self, recent: RecentSteps, uniforms: Tensor, task: Tensor) -> Tensor:
        """Compare the histories that begin at every so many of the `recent` steps: what the one
        that promises most says, (B, …). `uniforms` (B, starts, steps) draw the returns.
        """
        episodes, starts, steps = uniforms.shape
        first = torch.arange(0, steps, self.settings.start_every, device=uniforms.device)
        within = torch.arange(steps, device=first.device) >= first[:, None]  # (starts, steps)

        def rows(x: Tensor) -> Tensor:  # one for each episode and start
            return x.repeat_interleave(starts, dim=0)

        action = recent["before_action"].roll(-1, dims=1)  # the last is not read
        played = rows(action), rows(recent["timestep"]), within.repeat(episodes, 1)
        window = Window(rows(recent["state"]), rows(recent["told"]), *played)
        # the return of an expert at each step, for the target at the history's first …
        expert = self.expert_return(self.attend(window)[0], uniforms.flatten(0, 1))
        # … and what follows from it
        at_state, at_return = self.attend(window._replace(returns=expert))
        best = self.promise(at_state[:, -1]).view(episodes, starts).argmax(dim=1)
        chosen = at_return[:, -1].view(episodes, starts, -1)[torch.arange(episodes), best]
        return self.would(chosen, task)

    def expert_return(self, at_state: Tensor, uniforms: Tensor) -> Tensor:
        """(rows, steps), scaled, from hidden states (rows, steps, width) at s_t."""
        if self.settings.return_inference == "expectile":
            return self.promise(at_state)
        logits = of_experts(self.return_head(at_state).float(), self.settings.optimality)
        return self.bins.decode(drawn(logits, uniforms))
