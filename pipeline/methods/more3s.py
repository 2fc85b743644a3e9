"""MORE-3S (arXiv 2402.12845; docs/method.md §2): one token per step from the cached joint embedding
O_t, and a causal transformer with return-to-go conditioning and long-term memory that predicts the
next embedding and the action.

What enters: O_t = O(s_t, a_{t-1}) as masked tokens, R̂_t, t, and where the observation holds it the
environment's state vector, as one token beside the regions: a single picture shows no velocities.
What leaves: action logits or a continuous action, and Ô_{t+1} in training. a_t never enters what
predicts a_t (decision D1). With a model of what follows it plans (docs/planners.md).
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from pipeline.config.methods.more3s import Settings
from pipeline.methods import Learner, Moment, Spec
from pipeline.methods._world_beside import WorldBeside
from pipeline.nn import token_pooling
from pipeline.nn.action_head import ActionHead
from pipeline.nn.embedding_world import decode
from pipeline.nn.kv_cache import TransformerState
from pipeline.nn.masking import masked_mean
from pipeline.nn.state_encoders import StateEncoder
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.transformer import Transformer
from pipeline.observations import Observation
from pipeline.observations.batch import Batch


class More3S(Learner):
    """The policy; see the module."""

    settings: Settings
    action_embeddings: Tensor
    of_data = ("action_embeddings",)

    def __init__(self, settings: Settings, spec: Spec) -> None:
        """Of the data's statistics, `text_tokens` says how many tokens are text; `token_mean` and
        `token_std` (2, d_e) whiten tokens, `state_mean` and `state_std` standardise states.
        """
        super().__init__(settings, spec)
        (actions,) = spec.actions
        width, told = settings.width, spec.statistics
        tokens, self.embed = spec.shape["tokens"]
        self.text_tokens = int(told["text_tokens"])
        self.visible = token_pooling.VisibleTokens(self.text_tokens, settings)
        sizes = tokens, self.text_tokens, self.embed, settings.pooling_queries, width
        self.pool = token_pooling.build(settings.token_pooling, *sizes)
        self.state = StateEncoder(spec.shape["state"], width) if "state" in spec.shape else None
        self.pool_norm = nn.LayerNorm(width)
        if self.state is not None:
            # The state vector nearly decides the action. Pictures that count as much from the
            # start are learned by heart (docs/notebook.md).
            nn.init.constant_(self.pool_norm.weight, 0.1)
            self.state.fit(told)
        self.time = TimeEmbedding(settings.time_embedding, width, settings.max_timesteps)
        self.transformer = Transformer(
            settings,
            attention_span=max(settings.memory_length, settings.context_length - 1),
            conditioned=settings.return_conditioning == "condition",
            relative=settings.time_embedding == "relative",
        )
        embedded = settings.return_conditioning in ("linear", "token")
        self.return_embedding = nn.Linear(1, width) if embedded else None
        self.tokens_per_step = 2 if settings.return_conditioning == "token" else 1
        self.embedding_head = nn.Linear(width, 2 * self.embed)
        self.action_head = ActionHead(width, actions)
        # nearest_prompt (method D3): the data's whitened text embedding of each action's prompt
        prompts = 0 if actions.continuous else actions.size
        self.register_buffer("action_embeddings", torch.zeros(prompts, self.embed))
        if (mean := told.get("token_mean")) is not None:
            self.pool.whiten.fit(torch.as_tensor(mean), torch.as_tensor(told["token_std"]))
        if prompts and (embeddings := told.get("action_embeddings")) is not None:
            self.action_embeddings.copy_(torch.as_tensor(embeddings))
        # Last, so that the policy begins as it does without.
        self.world = WorldBeside(settings, spec) if settings.world_model.trained else None

    def optimised(self) -> Mapping[str, nn.Module]:
        """The policy, and beside it the model of what follows."""
        return {"policy": self} if self.world is None else self.world.beside(self)

    # Tokens: what is seen of a step, pooled into one vector.

    def tokens(
        self, pooled: Tensor, observation: Observation, returns: Tensor, timesteps: Tensor
    ) -> Tensor:
        """The transformer's inputs (batch, steps · tokens_per_step, width), of pool(O)."""
        time = self.time(timesteps)
        # x_t = LN(pool(O_t)) + time_t (+ W_s s_t: attention over a modality of one token is its
        # projection, and what the modalities gather is added up)
        x: Tensor = self.pool_norm(pooled) + time  # (batch, steps, width)
        if self.state is not None:
            x = x + self.state(observation["state"])
        if self.return_embedding is None:
            return x
        embedded: Tensor = self.return_embedding(returns[..., None])  # (batch, steps, width)
        if self.tokens_per_step == 1:  # `linear`: x_t + W_R R̂_t
            return x + embedded
        # `token`: R̂_t comes first                              (batch, 2 · steps, width)
        return torch.stack((embedded + time, x), dim=2).flatten(1, 2)

    # Attend: to the steps before, memory included.

    def hidden(self, batch: Batch) -> Tensor:
        """h_t of the context's steps (batch, K, width); the memory's have no gradient."""
        visible, start = self.visible(batch.observation["mask"]), batch.memory
        halves = []
        for part, trained in ((slice(0, start), False), (slice(start, None), True)):
            with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
                seen = {name: x[:, part] for name, x in batch.observation.items()}
                told = batch.returns_to_go[:, part], batch.timesteps[:, part]
                halves.append(self.tokens(self.pool(seen["tokens"], visible[:, part]), seen, *told))
        return self.attend(torch.cat(halves, dim=1), batch)

    def attend(self, x: Tensor, batch: Batch) -> Tensor:
        """The same of the transformer's inputs."""
        returns, real = (
            x.repeat_interleave(self.tokens_per_step, dim=1)
            for x in (batch.returns_to_go, batch.mask)
        )  # (batch, steps · tokens_per_step)
        # k_t = W_k h_t + u_k R̂_t and v_t = W_v h_t + u_v R̂_t in every layer, where `condition`
        hidden = self.transformer.window(x, real, self.tokens_per_step, batch.memory, returns)
        return hidden[:, self.tokens_per_step - 1 :: self.tokens_per_step]  # the embeddings' tokens

    # Heads: the next embedding, and the action.

    def action(self, hidden: Tensor, predicted: Tensor) -> Tensor:
        """What the head says about a_t, or logits by the distance of Ô_text to each prompt."""
        if self.settings.action_readout == "action_head":
            read: Tensor = self.action_head(hidden)
            return read
        text = predicted[..., None, : self.embed]  # (…, 1, embed)
        # log N(Ô_text; prompt_a, 1), up to a constant           (…, actions)
        return -0.5 * (text - self.action_embeddings).square().sum(dim=-1)

    # Losses.

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """λ_o · MSE(Ô_{t+1}, z(O_{t+1})) + λ_a · error of a_t."""
        yield "policy", self.loss(batch)[0]
        if self.world is not None:
            yield "world", self.world.loss(self, batch)

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What it would do, the loss, and the model's errors."""
        loss, parts = self.loss(batch)
        beside = {} if self.world is None else self.world.errors(self, batch)
        return parts["read"], {"loss": loss, **beside}

    def loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss, its two parts, and what is `read` for a_t (batch, K, …)."""
        hidden = self.hidden(batch)  # (batch, K, width)
        predicted = self.embedding_head(hidden).float()  # Ô_{t+1}: (batch, K, 2 · embed)
        real, actions = batch.mask[:, batch.context], batch.actions[:, batch.context]
        # z(O_{t+1}) is a frozen statistic of the data: a target that is trained along collapses to
        # a constant.
        target = batch.observation["pooled"][:, batch.context][:, 1:].flatten(2).detach().float()
        error = (predicted[:, :-1] - target).square().mean(dim=-1)  # (batch, K - 1)
        embedding_loss = masked_mean(error, real[:, :-1] & real[:, 1:])
        read = self.action(hidden, predicted)
        action_loss = masked_mean(self.action_head.error(read, actions), real)
        loss = self.settings.embedding_loss_weight * embedding_loss
        if self.settings.action_readout == "action_head":  # else λ_a = 0 by definition
            loss = loss + self.settings.action_loss_weight * action_loss
        parts = {"embedding_loss": embedding_loss, "action_loss": action_loss, "read": read}
        return loss, parts

    # Act: one step more, on the cache.

    def start(self, episodes: int) -> TransformerState:
        """Nothing is remembered before the first step."""
        return TransformerState()

    def act(self, moment: Moment, state: TransformerState) -> tuple[Tensor, TransformerState]:  # type: ignore[override]
        """What is read for a_t; the previous action is seen through the prompt in O_t."""
        seen, told = moment.observation, (moment.return_to_go, moment.timestep)
        pooled = self.pool(seen["tokens"], self.visible(seen["mask"]))
        x = self.tokens(pooled, seen, *told)
        hidden, state = decode(self.transformer, x, moment.return_to_go, state)  # (batch, width)
        if self.world is None or self.settings.planned_steps == 0:
            return self.logits(hidden), state
        return self.world.planned(self, pooled, hidden, state, moment), state

    def imagined(self, batch: Batch, actions: Tensor) -> dict[str, Tensor]:
        """What follows windows where `actions` (B, H) are taken; see `WorldBeside.imagined`."""
        return {} if self.world is None else self.world.imagined(self, batch, actions)

    def logits(self, hidden: Tensor) -> Tensor:
        """What is read for a_t of h_t."""
        return self.action(hidden, self.embedding_head(hidden))
