"""Decision Transformer (Chen et al. 2021, arXiv 2106.01345): tokens (R̂_t, s_t, a_t) per step, all
three with the step's time embedding; a_t is read at the token s_t, which comes before its own.

On stacked frames (`pixels`) it is the Atari form: DQN's convolutions, tanh on every embedding. On
state vectors (`states`) it is the Gym form: linear embeddings and a LayerNorm over the tokens; its
actions equal those of Hugging Face's `DecisionTransformerModel` on the same weights. What enters
and leaves for a_t follows the environment's actions. `BehaviourCloning` is the same without the
tokens R̂_t.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace
from pipeline.nn.action_head import ActionEmbedding, ActionHead
from pipeline.nn.kv_cache import Cache, Positions
from pipeline.nn.state_encoders import FrameEncoder, StateEncoder
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.transformer import Transformer, TransformerConfig, masked_mean
from pipeline.observations import Observation
from pipeline.observations.batch import Batch


@dataclass(frozen=True)
class DecisionTransformerConfig:
    """Switches of the model; `MethodConfig.policy` documents each."""

    transformer: TransformerConfig
    context_length: int
    actions: ActionSpace
    observed: str
    """The tensor of an observation that is read: "frames" or "state"."""
    shape: tuple[int, ...]
    """Of that tensor: (stack, height, width), or (numbers,)."""
    time_embedding: str
    max_timesteps: int
    history_dropout: float


class DecisionTransformer(nn.Module):
    """The policy; see the module. Follows `SequencePolicy`."""

    observations: ClassVar[tuple[str, ...]] = ("pixels", "states")
    uses_returns: ClassVar[bool] = True

    def __init__(self, config: DecisionTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.context_length, self.memory_length = config.context_length, 0
        width = config.transformer.width
        self.per_step = 3 if self.uses_returns else 2
        encoder = FrameEncoder if config.observed == "frames" else StateEncoder
        self.encoder = encoder(config.shape, width)
        self.returns = nn.Linear(1, width) if self.uses_returns else None
        self.actions = ActionEmbedding(config.actions, width)
        self.squash = nn.Tanh() if config.observed == "frames" else nn.Identity()
        self.norm = nn.Identity() if config.observed == "frames" else nn.LayerNorm(width)
        self.time = TimeEmbedding(config.time_embedding, width, config.max_timesteps)
        self.transformer = Transformer(config.transformer, reach=config.context_length - 1)
        self.action_head = ActionHead(width, config.actions)

    @classmethod
    def from_config(
        cls,
        config: MethodConfig,
        shape: dict[str, tuple[int, ...]],
        attributes: dict[str, Any],
        actions: ActionSpace,
    ) -> Self:
        """Build for frames or states of `shape`, standardised by the store's `attributes`; a
        checkpoint brings its own statistics.
        """
        policy = config.policy
        transformer = TransformerConfig(
            policy.width,
            policy.layers,
            policy.heads,
            policy.dropout,
            policy.activation,
            relative=policy.time_embedding == "relative",
        )
        ((observed, size),) = shape.items()
        model = cls(
            DecisionTransformerConfig(
                transformer,
                policy.context_length,
                actions,
                observed,
                size,
                policy.time_embedding,
                policy.max_timesteps,
                policy.history_dropout,
            )
        )
        model.encoder.fit(attributes)
        return model

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Error of a_t over real steps that are not memory: cross-entropy, or the mean square."""
        time = self.time(batch.timesteps)
        tokens = self._before_action(batch.observation, batch.returns_to_go, time)
        tokens.append(self._action(batch.actions, time))
        x = torch.stack(tokens, dim=2).flatten(1, 2)  # (batch, steps · per_step, width)
        real = batch.attention_mask.repeat_interleave(self.per_step, dim=1)
        start = batch.memory_length
        # Nothing reads the last action's token.
        hidden = self.transformer.window(self.norm(x[:, :-1]), real[:, :-1], self.per_step, start)
        read = self._read(hidden[:, self.per_step - 2 :: self.per_step])  # (batch, K, …)
        error = self.action_head.error(read, batch.actions[:, start:])  # (batch, K)
        loss = masked_mean(error, batch.attention_mask[:, start:])
        return loss, {self.action_head.part: read.detach(), "action_loss": loss.detach()}

    def start(self, episodes: int) -> Cache:
        """Nothing is remembered before the first step."""
        return Cache()

    @torch.no_grad()
    def act(
        self,
        observation: Observation,
        previous_actions: Tensor,
        returns_to_go: Tensor,
        timesteps: Tensor,
        state: Cache,
    ) -> tuple[Tensor, Cache]:
        """What is read for a_t: the token of a_{t-1} completes the last step, then come R̂_t and
        s_t.
        """
        tokens = self._before_action(observation, returns_to_go, self.time(timesteps))
        if state.step > 0:  # an episode begins with an observation
            tokens.insert(0, self._action(previous_actions, self.time(timesteps - 1)))
        x = self.norm(torch.cat(tokens, dim=1))  # (batch, new tokens, width)
        end = (state.step + 1) * self.per_step - 1
        order = torch.arange(end - x.shape[1], end)
        positions = Positions(order, order // self.per_step)
        hidden, memory = self.transformer.extend(x, positions, state.memory)
        return self._read(hidden[:, -1]), Cache(state.step + 1, memory)

    def _before_action(
        self, observation: Observation, returns: Tensor, time: Tensor
    ) -> list[Tensor]:
        """Tokens of a step that precede its action, each (batch, steps, width)."""
        state = self.encoder(observation[self.config.observed]) + time
        if self.returns is None:
            return [state]
        return [self.squash(self.returns(returns[..., None])) + time, state]

    def _action(self, actions: Tensor, time: Tensor) -> Tensor:
        """Tokens of actions, (batch, steps, width), without their content in a random share of
        windows.
        """
        embedded: Tensor = self.squash(self.actions(actions))
        probability = self.config.history_dropout
        if probability == 1 or (probability > 0 and self.training):
            kept = torch.rand(len(actions), 1, 1) >= probability
            embedded = embedded * kept.to(embedded.device)
        return embedded + time

    def _read(self, hidden: Tensor) -> Tensor:
        """What the hidden states at the tokens s_t say about a_t."""
        read: Tensor = self.action_head(hidden)
        return read


def build(
    config: MethodConfig,
    shape: dict[str, tuple[int, ...]],
    attributes: dict[str, Any],
    actions: ActionSpace,
) -> DecisionTransformer:
    """Build for observations of `shape`; see `DecisionTransformer.from_config`."""
    return DecisionTransformer.from_config(config, shape, attributes, actions)
