"""Decision Transformer in its Atari form (Chen et al. 2021, arXiv 2106.01345): tokens (R̂_t, s_t,
a_t) per step.

What enters: s_t as 4 stacked 84×84 grey frames through the 32-64-64 convolution of DQN (Mnih et al.
2015), R̂_t and a_t, all three with the step's time embedding. What leaves: logits of a_t, read at
the token s_t, which comes before the token a_t. `BehaviourCloning` is the same network without the
tokens R̂_t.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.actions import ActionSpace
from pipeline.config import MethodConfig
from pipeline.models import Batch
from pipeline.models._memory import Cache, Positions
from pipeline.models._time_embedding import TimeEmbedding
from pipeline.models._transformer import (
    Transformer,
    TransformerConfig,
    compute_dtype,
    masked_mean,
)
from pipeline.observations import Observation


@dataclass(frozen=True)
class DecisionTransformerConfig:
    """Switches of the model; `MethodConfig.policy` documents each."""

    transformer: TransformerConfig
    context_length: int
    actions: int
    frames: tuple[int, int, int]
    """(stack, height, width) of one observation."""
    time_embedding: str
    max_timesteps: int
    history_dropout: float


class FrameEncoder(nn.Module):
    """DQN's convolutions and one linear layer: (batch, steps, 4, 84, 84) uint8 → (batch, steps,
    width) in [-1, 1].

    Pixels are standardised by the data's mean frame and deviation, as MORE-3S's tokens are: what
    moves covers a few pixels, and beside the still picture it is hardly seen.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(shape[0], 32, 8, stride=4)
        self.convolutions = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 4, stride=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, 3, stride=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
        )
        with torch.no_grad():
            size = self.convolutions(self.first(torch.zeros(1, *shape))).shape[1]
        self.output = nn.Linear(size, width)
        for layer in (self.first, *self.convolutions):
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.output.weight, std=size**-0.5)
        self.register_buffer("mean", torch.zeros(shape[1:]))
        self.register_buffer("std", torch.full((), 255.0))

    def forward(self, frames: Tensor) -> Tensor:
        """Encode; see the class."""
        batch, steps = frames.shape[:2]
        # 0 … 255 is exact in bfloat16 and the division is done on the weights: no pass over the
        # frames in float32.
        dtype = compute_dtype()
        levels = frames.flatten(0, 1).to(dtype)  # (batch · steps, 4, height, width)
        levels -= self.mean.to(dtype)
        levels = levels.contiguous(
            memory_format=torch.channels_last
        )  # faster convolutions on a CPU
        x = functional.conv2d(levels, self.first.weight / self.std, self.first.bias, stride=4)
        encoded: Tensor = self.output(self.convolutions(x)).float().tanh()
        return encoded.view(batch, steps, -1)


class DecisionTransformer(nn.Module):
    """The policy; see the module. Follows `SequencePolicy`."""

    observation: ClassVar[str] = "pixels"
    uses_returns: ClassVar[bool] = True

    def __init__(self, config: DecisionTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.context_length, self.memory_length = config.context_length, 0
        width = config.transformer.width
        self.per_step = 3 if self.uses_returns else 2
        self.frames = FrameEncoder(config.frames, width)
        self.returns = nn.Linear(1, width) if self.uses_returns else None
        self.actions = nn.Embedding(config.actions, width)
        self.time = TimeEmbedding(config.time_embedding, width, config.max_timesteps)
        self.transformer = Transformer(config.transformer, reach=config.context_length - 1)
        self.action_head = nn.Linear(width, config.actions)

    @classmethod
    def from_config(
        cls,
        config: MethodConfig,
        shape: dict[str, tuple[int, ...]],
        attributes: dict[str, Any],
        actions: ActionSpace,
    ) -> Self:
        """Build for frames of `shape`.

        Of the store's `attributes`, `pixel_mean` (height, width) and `pixel_std` standardise the
        pixels; a checkpoint brings its own.
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
        stack, height, width = shape["frames"]
        model = cls(
            DecisionTransformerConfig(
                transformer,
                policy.context_length,
                actions.size,
                (stack, height, width),
                policy.time_embedding,
                policy.max_timesteps,
                policy.history_dropout,
            )
        )
        if (mean := attributes.get("pixel_mean")) is not None:
            model.frames.mean.copy_(torch.as_tensor(mean))
            model.frames.std.fill_(attributes["pixel_std"])
        return model

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of a_t over real steps that are not memory."""
        time = self.time(batch.timesteps)
        tokens = self._before_action(batch.observation, batch.returns_to_go, time)
        tokens.append(self._action(batch.actions, time))
        x = torch.stack(tokens, dim=2).flatten(1, 2)  # (batch, steps · per_step, width)
        real = batch.attention_mask.repeat_interleave(self.per_step, dim=1)
        start = batch.memory_length
        # Nothing reads the last action's token.
        hidden = self.transformer.window(x[:, :-1], real[:, :-1], self.per_step, start)
        logits = self.action_head(hidden[:, self.per_step - 2 :: self.per_step]).float()
        entropy = functional.cross_entropy(
            logits.transpose(1, 2), batch.actions[:, start:], reduction="none"
        )  # (batch, K)
        loss = masked_mean(entropy, batch.attention_mask[:, start:])
        return loss, {"action_logits": logits.detach(), "action_loss": loss.detach()}

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
        """Logits of a_t: the token of a_{t-1} completes the last step, then come R̂_t and s_t."""
        tokens = self._before_action(observation, returns_to_go, self.time(timesteps))
        if state.step > 0:  # an episode begins with an observation
            tokens.insert(0, self._action(previous_actions, self.time(timesteps - 1)))
        x = torch.cat(tokens, dim=1)  # (batch, new tokens, width)
        end = (state.step + 1) * self.per_step - 1
        order = torch.arange(end - x.shape[1], end)
        positions = Positions(order, order // self.per_step)
        hidden, memory = self.transformer.extend(x, positions, state.memory)
        logits: Tensor = self.action_head(hidden[:, -1])
        return logits.float(), Cache(state.step + 1, memory)

    def _before_action(
        self, observation: Observation, returns: Tensor, time: Tensor
    ) -> list[Tensor]:
        """Tokens of a step that precede its action, each (batch, steps, width)."""
        state = self.frames(observation["frames"]) + time
        if self.returns is None:
            return [state]
        return [self.returns(returns[..., None]).tanh() + time, state]

    def _action(self, actions: Tensor, time: Tensor) -> Tensor:
        """Tokens of actions, (batch, steps, width), without their content in a random share of
        windows.
        """
        embedded: Tensor = self.actions(actions).tanh()
        probability = self.config.history_dropout
        if probability == 1 or (probability > 0 and self.training):
            embedded = embedded * (torch.rand(len(actions), 1, 1) >= probability)
        return embedded + time


def build(
    config: MethodConfig,
    shape: dict[str, tuple[int, ...]],
    attributes: dict[str, Any],
    actions: ActionSpace,
) -> DecisionTransformer:
    """Build for observations of `shape`; see `DecisionTransformer.from_config`."""
    return DecisionTransformer.from_config(config, shape, attributes, actions)
