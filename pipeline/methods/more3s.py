"""MORE-3S (arXiv 2402.12845; docs/method.md §2): one token per step from the cached joint embedding
O_t, and a causal transformer with return-to-go conditioning and long-term memory that predicts the
next embedding and the action.

What enters: O_t = O(s_t, a_{t-1}) as masked tokens, R̂_t, t, and where the observation holds it the
environment's state vector, as one token beside the regions: a single picture shows no velocities.
What leaves: action logits or a continuous action, and Ô_{t+1} in training. a_t never enters what
predicts a_t (decision D1).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.nn import token_pooling as _pooling
from pipeline.nn.action_head import ActionHead
from pipeline.nn.kv_cache import Cache, Positions
from pipeline.nn.state_encoders import StateEncoder
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.transformer import Transformer, TransformerConfig, masked_mean
from pipeline.observations import Observation
from pipeline.observations.batch import Batch


@dataclass(frozen=True)
class More3SConfig:
    """Switches of the model; `MethodConfig.policy` documents each."""

    transformer: TransformerConfig
    context_length: int
    memory_length: int
    actions: ActionSpace
    tokens: int
    """L + N, the tokens of one step."""
    text_tokens: int
    """L, how many of them are text; they come first."""
    embed: int
    """d_e, the width of the encoder."""
    state: tuple[int, ...] | None
    """(numbers,) of the state vector, if there is one."""
    time_embedding: str
    max_timesteps: int
    token_pooling: str
    pooling_queries: int
    return_conditioning: str
    action_readout: str
    embedding_loss_weight: float
    action_loss_weight: float
    history_dropout: float
    region_dropout: float


class More3S(nn.Module):
    """The policy; see the module. Follows `SequencePolicy`."""

    observations: ClassVar[tuple[str, ...]] = ("embeddings", "embeddings_and_states")
    uses_returns: ClassVar[bool] = True
    action_embeddings: Tensor

    def __init__(self, config: More3SConfig) -> None:
        super().__init__()
        self.config = config
        self.context_length, self.memory_length = config.context_length, config.memory_length
        width = config.transformer.width
        self.pool = _pooling.build(
            config.token_pooling,
            config.tokens,
            config.text_tokens,
            config.embed,
            config.pooling_queries,
            width,
        )
        self.state = StateEncoder(config.state, width) if config.state else None
        self.pool_norm = nn.LayerNorm(width)
        if self.state is not None:
            # The state vector nearly decides the action. Pictures that count as much from the
            # start are learned by heart (docs/learning.md).
            nn.init.constant_(self.pool_norm.weight, 0.1)
        self.time = TimeEmbedding(config.time_embedding, width, config.max_timesteps)
        self.transformer = Transformer(
            config.transformer, reach=max(config.memory_length, config.context_length - 1)
        )
        with_returns = config.return_conditioning in ("linear", "token")
        self.return_embedding = nn.Linear(1, width) if with_returns else None
        self.per_step = 2 if config.return_conditioning == "token" else 1
        self.embedding_head = nn.Linear(width, 2 * config.embed)
        self.action_head = ActionHead(width, config.actions)
        prompts = 0 if config.actions.continuous else config.actions.size
        # nearest_prompt (method D3): the whitened text embedding of each discrete action's prompt,
        # from the data.
        self.register_buffer("action_embeddings", torch.zeros(prompts, config.embed))

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """λ_o · MSE(Ô_{t+1}, z(O_{t+1})) + λ_a · error of a_t, over real steps that are not
        memory.
        """
        start = batch.memory_length
        mask = self._visible(batch.observation["mask"])
        halves = []
        for part, trained in ((slice(0, start), False), (slice(start, None), True)):
            with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
                observed = {name: x[:, part] for name, x in batch.observation.items()}
                observed["mask"] = mask[:, part]
                times = batch.returns_to_go[:, part], batch.timesteps[:, part]
                halves.append(self._tokens(observed, *times))
        returns, real = (
            x.repeat_interleave(self.per_step, dim=1)
            for x in (batch.returns_to_go, batch.attention_mask)
        )  # (batch, steps · per_step)
        hidden = self.transformer.window(
            torch.cat(halves, dim=1), real, self.per_step, start, returns
        )
        hidden = hidden[
            :, self.per_step - 1 :: self.per_step
        ]  # (batch, K, width): the embedding's tokens
        predicted = self.embedding_head(hidden).float()  # (batch, K, 2 · embed)

        context = batch.attention_mask[:, start:]
        # The target is a frozen statistic of the data: one that is trained along collapses to a
        # constant.
        target = batch.observation["pooled"][:, start + 1 :].flatten(2).detach().float()
        error = (predicted[:, :-1] - target).square().mean(dim=-1)  # (batch, K - 1)
        embedding_loss = masked_mean(error, context[:, :-1] & context[:, 1:])
        read = self._read(hidden, predicted)
        action_loss = masked_mean(self.action_head.error(read, batch.actions[:, start:]), context)
        total = self.config.embedding_loss_weight * embedding_loss
        if self.config.action_readout == "action_head":  # nearest_prompt is λ_a = 0 by definition
            total = total + self.config.action_loss_weight * action_loss
        parts = {
            self.action_head.part: read,
            "action_loss": action_loss,
            "embedding_loss": embedding_loss,
        }
        return total, {name: value.detach() for name, value in parts.items()}

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
        """What is read for a_t; the previous action is seen through the prompt in O_t."""
        observed = {**observation, "mask": self._visible(observation["mask"])}
        tokens = self._tokens(observed, returns_to_go, timesteps)
        positions = Positions.of_steps(state.step, 1, self.per_step)
        returns = returns_to_go.expand(-1, self.per_step)
        hidden, memory = self.transformer.extend(tokens, positions, state.memory, returns)
        last = hidden[:, -1]  # (batch, width)
        return self._read(last, self.embedding_head(last)), Cache(state.step + 1, memory)

    def _tokens(self, observation: Observation, returns: Tensor, timesteps: Tensor) -> Tensor:
        """Transformer inputs (batch, steps · per_step, width) of consecutive steps."""
        time = self.time(timesteps)
        pooled = self.pool(observation["tokens"], observation["mask"])
        x: Tensor = self.pool_norm(pooled) + time  # (batch, steps, width)
        if self.state is not None:
            # Attention over a modality of one token is its projection, and what the modalities
            # gather is added up.
            x = x + self.state(observation["state"])
        if self.return_embedding is None:
            return x
        embedded = self.return_embedding(returns[..., None])  # (batch, steps, width)
        if self.per_step == 1:
            x = x + embedded
            return x
        return torch.stack((embedded + time, x), dim=2).flatten(1, 2)  # (batch, 2 · steps, width)

    def _visible(self, mask: Tensor) -> Tensor:
        """The mask (batch, steps, tokens) of what may be seen: in training not all of it."""
        visible = mask & ~self._hidden_prompts(mask).to(mask.device)
        if self.training and self.config.region_dropout > 0:
            hidden = torch.rand(mask.shape) < self.config.region_dropout
            hidden[..., : self.config.text_tokens] = False
            visible &= ~hidden.to(mask.device)
        return visible

    def _hidden_prompts(self, mask: Tensor) -> Tensor:
        """True at the prompt, which tells a_{t-1}, in a random share of windows."""
        text = torch.arange(mask.shape[2]) < self.config.text_tokens
        probability = self.config.history_dropout
        if probability == 0 or (not self.training and probability < 1):
            return torch.zeros_like(text)
        return (torch.rand(len(mask), 1, 1) < probability) & text

    def _read(self, hidden: Tensor, predicted: Tensor) -> Tensor:
        """What the head says about a_t, or logits by the distance of Ô's text half to each
        prompt.
        """
        if self.config.action_readout == "action_head":
            read: Tensor = self.action_head(hidden)
            return read
        text = predicted[..., None, : self.config.embed]  # (…, 1, embed)
        # Log-density of a unit normal around each prompt.
        return -0.5 * (text - self.action_embeddings).square().sum(dim=-1)  # (…, actions)


def build(
    config: MethodConfig,
    shape: dict[str, tuple[int, ...]],
    attributes: dict[str, Any],
    actions: ActionSpace,
) -> More3S:
    """Build for observations of `shape`.

    Of the store's `attributes`, `text_tokens` says how many tokens are text, and
    `token_mean` and `token_std` (2, d_e) whiten the tokens, `action_embeddings` (actions, d_e) are
    what `nearest_prompt` compares with, and `state_mean` and `state_std` standardise states; a
    checkpoint brings its own. Raises PipelineError for `nearest_prompt` with continuous actions.
    """
    policy = config.policy
    if actions.continuous and policy.action_readout == "nearest_prompt":
        raise PipelineError(
            "policy.action_readout: nearest_prompt chooses among the prompts of discrete actions; "
            "use action_head here"
        )
    tokens, embed = shape["tokens"]
    transformer = TransformerConfig(
        policy.width,
        policy.layers,
        policy.heads,
        policy.dropout,
        policy.activation,
        conditioned=policy.return_conditioning == "condition",
        relative=policy.time_embedding == "relative",
    )
    model = More3S(
        More3SConfig(
            transformer,
            policy.context_length,
            policy.memory_length,
            actions,
            tokens,
            int(attributes["text_tokens"]),
            embed,
            shape.get("state"),
            policy.time_embedding,
            policy.max_timesteps,
            policy.token_pooling,
            policy.pooling_queries,
            policy.return_conditioning,
            policy.action_readout,
            policy.embedding_loss_weight,
            policy.action_loss_weight,
            policy.history_dropout,
            policy.region_dropout,
        )
    )
    if (mean := attributes.get("token_mean")) is not None:
        model.pool.whiten.fit(torch.as_tensor(mean), torch.as_tensor(attributes["token_std"]))
    if model.state is not None:
        model.state.fit(attributes)
    embeddings = attributes.get("action_embeddings")
    if embeddings is not None and not actions.continuous:
        model.action_embeddings.copy_(torch.as_tensor(embeddings))
    return model
