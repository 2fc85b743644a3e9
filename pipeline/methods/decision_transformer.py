"""Decision Transformer (Chen et al. 2021, arXiv 2106.01345): tokens (R̂_t, s_t, a_t) per step, all
three with the step's time embedding; a_t is read at the token s_t, which comes before its own.

On stacked frames (`pixels`) it is the Atari form: DQN's convolutions, tanh on every embedding. On
state vectors (`states`) it is the Gym form: linear embeddings and a LayerNorm over the tokens; its
actions equal those of Hugging Face's `DecisionTransformerModel` on the same weights. What enters
and leaves for a_t follows the environment's actions. `BehaviourCloning` is the same without the
tokens R̂_t.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from pipeline.config.methods.decision_transformer import Settings
from pipeline.methods import Learner, Moment, Spec
from pipeline.nn.action_head import ActionEmbedding, ActionHead
from pipeline.nn.dropout import HistoryDropout
from pipeline.nn.kv_cache import Positions, TransformerState
from pipeline.nn.masking import masked_mean
from pipeline.nn.state_encoders import FrameEncoder, StateEncoder
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.transformer import Transformer
from pipeline.observations import Observation
from pipeline.observations.batch import Batch


class DecisionTransformer(Learner):
    """The policy; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        """Frames or states are standardised by the data's statistics, where there are any."""
        super().__init__(settings, spec)
        ((self.observed, shape),) = spec.shape.items()
        actions, width, pictures = spec.choices, settings.width, self.observed == "frames"
        self.tokens_per_step = 3 if settings.uses_returns else 2
        self.encoder = self.encoder_of(shape, spec)
        self.returns = nn.Linear(1, width) if settings.uses_returns else None
        self.actions = ActionEmbedding(actions, width)
        self.hide = HistoryDropout(settings.history_dropout)
        self.squash = nn.Tanh() if pictures else nn.Identity()
        self.norm = nn.Identity() if pictures else nn.LayerNorm(width)
        self.time = TimeEmbedding(settings.time_embedding, width, settings.max_timesteps)
        self.transformer = Transformer(
            settings,
            attention_span=settings.context_length - 1,
            relative=settings.time_embedding == "relative",
        )
        self.action_head = ActionHead(width, actions)

    def encoder_of(self, shape: tuple[int, ...], spec: Spec) -> FrameEncoder | StateEncoder:
        """What reads s_t, standardised by the data's statistics, where there are any."""
        pictures = self.observed == "frames"
        encoder = (FrameEncoder if pictures else StateEncoder)(shape, self.settings.width)
        encoder.fit(spec.statistics)
        return encoder

    # Tokens, in the order of a step.

    def when(self, timesteps: Tensor, task: Tensor) -> Tensor:
        """What all tokens of a step have in common, (batch, steps, width)."""
        time: Tensor = self.time(timesteps)
        return time

    def seen(self, observation: Observation, task: Tensor) -> Tensor:
        """s_t (batch, steps, width)."""
        state: Tensor = self.encoder(observation[self.observed])
        return state

    def before_action(self, state: Tensor, returns: Tensor, time: Tensor) -> list[Tensor]:
        """R̂_t and s_t, each (batch, steps, width)."""
        state = state + time
        if self.returns is None:
            return [state]
        return [self.squash(self.returns(returns[..., None])) + time, state]

    def action(self, actions: Tensor, time: Tensor) -> Tensor:
        """a_t (batch, steps, width), without its content in a random share of windows."""
        embedded: Tensor = self.hide(self.squash(self.actions(actions)))
        return embedded + time

    # Attend, and read a_t where s_t stands.

    def hidden(self, batch: Batch) -> Tensor:
        """At the tokens s_t of the context, (batch, K, width)."""
        time = self.when(batch.timesteps, batch.task)
        seen = self.seen(batch.observation, batch.task)
        tokens = self.before_action(seen, batch.returns_to_go, time)
        tokens.append(self.action(batch.actions, time))
        x = torch.stack(tokens, dim=2).flatten(1, 2)  # (batch, steps · tokens_per_step, width)
        real = batch.mask.repeat_interleave(self.tokens_per_step, dim=1)
        hidden = self.transformer.window(  # without the last action, which nothing reads
            self.norm(x[:, :-1]), real[:, :-1], self.tokens_per_step, batch.memory
        )
        return hidden[:, self.tokens_per_step - 2 :: self.tokens_per_step]

    def head(self, hidden: Tensor) -> Tensor:
        """What hidden states at the tokens s_t say about a_t."""
        read: Tensor = self.action_head(hidden)
        return read

    def predicted(self, batch: Batch) -> Tensor:
        """What is read for a_t of the context, (batch, K, …)."""
        return self.head(self.hidden(batch))

    # Losses.

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """Error of a_t: cross-entropy, or the mean square."""
        yield "policy", self.loss(batch)[0]

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What it would do, and the loss."""
        loss, parts = self.loss(batch)
        return parts["read"], {"loss": loss}

    def loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss, and what is `read` for a_t (batch, K, …)."""
        read = self.predicted(batch)
        error = self.action_head.error(read, batch.actions[:, batch.context])  # (batch, K)
        loss = masked_mean(error, batch.mask[:, batch.context])
        return loss, {"action_loss": loss, "read": read}

    # Act.

    def start(self, episodes: int) -> TransformerState:
        """Nothing is remembered before the first step."""
        return TransformerState()

    def act(self, moment: Moment, state: TransformerState) -> tuple[Tensor, TransformerState]:  # type: ignore[override]
        """What is read for a_t: the token of a_{t-1} completes the last step, then come R̂_t and
        s_t.
        """
        time = self.when(moment.timestep, moment.task)
        seen = self.seen(moment.observation, moment.task)
        tokens = self.before_action(seen, moment.return_to_go, time)
        if state.step > 0:  # an episode begins with an observation
            before = self.when(moment.timestep - 1, moment.task)
            tokens.insert(0, self.action(moment.previous_action, before))
        x = self.norm(torch.cat(tokens, dim=1))  # (batch, new tokens, width)
        end = (state.step + 1) * self.tokens_per_step - 1
        order = torch.arange(end - x.shape[1], end)
        positions = Positions(order, order // self.tokens_per_step)
        hidden, state = self.transformer.decode_step(x, positions, state)  # (batch, width)
        return self.head(hidden), state
