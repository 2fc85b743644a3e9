"""StARformer (Shang et al. 2022, arXiv 2110.06206): what happens within a step and over steps is
attended to apart, layer by layer.

Of each step the local tokens are a_{t-1}, the pieces of s_t (squares of frames, numbers of a state
vector) and, in its other forms, r_{t-1} or R̂_t. In every layer they attend to each other, and are
joined into one vector g_t. A global token z_t, at first the whole of s_t, attends to (g_1, z_1, …,
g_t, z_t) and goes on to the next layer; a_t is read from the last one. Nothing attends to g_t's
output, so g_t gives keys and values only.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from pipeline.config.methods.starformer import Settings
from pipeline.methods import Learner, Moment, Spec
from pipeline.nn.action_head import ActionEmbedding, ActionHead
from pipeline.nn.dropout import Dropout, HistoryDropout
from pipeline.nn.kv_cache import (
    KeyValue,
    KVCache,
    Positions,
    TransformerState,
    band_mask,
    distances,
)
from pipeline.nn.local_tokens import FrameTokens, StateTokens
from pipeline.nn.masking import masked_mean
from pipeline.nn.state_encoders import FrameEncoder, StateEncoder
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.transformer import AttentionContext, Block, initialise
from pipeline.observations import Observation
from pipeline.observations.batch import Batch


class Layer(nn.Module):
    """Local attention within each step, and global attention over steps."""

    def __init__(self, settings: Settings, tokens: int, span: int) -> None:
        super().__init__()
        relative = settings.time_embedding == "relative"
        self.local = Block(settings.local, None, conditioned=False, relative=False)
        self.local_norm = nn.LayerNorm(settings.local_width)
        self.join = nn.Linear(tokens * settings.local_width, settings.width)
        self.join_norm = nn.LayerNorm(settings.width)
        self.over_steps = Block(settings, span, conditioned=False, relative=relative)

    def within(self, local: Tensor) -> tuple[Tensor, Tensor]:
        """The local tokens (batch, steps, tokens, local width) after they have attended to each
        other, and g (batch, steps, width).
        """
        batch, steps, tokens, _ = local.shape
        everything = torch.ones(1, 1, tokens, tokens, dtype=torch.bool, device=local.device)
        context = AttentionContext(everything, torch.zeros(tokens, tokens).long(), None)
        local = self.local(local.flatten(0, 1), context, None)[0].view(batch, steps, tokens, -1)
        joined = self.join(self.local_norm(local).flatten(2))
        return local, self.join_norm(joined.float())

    def forward(
        self, joined: Tensor, state: Tensor, context: AttentionContext, past: KeyValue | None
    ) -> tuple[Tensor, KeyValue]:
        """z of the next layer (batch, steps, width), and the keys and values of the past, g and z
        in this one.
        """
        block = self.over_steps
        keys = block.attention.keys_and_values(block.attention_norm(joined), None)
        keys = keys if past is None else _followed(past, keys)
        state, own = block(state, context, keys)
        return state, _followed(keys, own)


class StARformer(Learner):
    """The policy; see the module."""

    settings: Settings

    def __init__(self, settings: Settings, spec: Spec) -> None:
        """Frames or states are standardised by the data's statistics, where there are any."""
        super().__init__(settings, spec)
        (actions,) = spec.actions
        ((self.observed, shape),) = spec.shape.items()
        width, local = settings.width, settings.local_width
        self.pictures, self.span = self.observed == "frames", settings.context_length - 1
        self.encoder = (FrameEncoder if self.pictures else StateEncoder)(shape, width)
        self.pieces = (
            FrameTokens(shape, settings.patch_size, local)
            if self.pictures
            else StateTokens(shape, local)
        )
        self.actions = ActionEmbedding(actions, local)
        self.hide = HistoryDropout(settings.history_dropout)
        self.told = nn.Linear(1, local) if settings.reward_token != "none" else None
        tokens = self.pieces.count + 1 + (self.told is not None)
        self.time = TimeEmbedding(settings.time_embedding, width, settings.max_timesteps)
        self.drop = Dropout(settings.dropout)
        self.layers = nn.ModuleList(
            Layer(settings, tokens, self.span) for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.action_head = ActionHead(width, actions)
        self.layers.apply(initialise)
        self.encoder.fit(spec.statistics)
        self.pieces.fit(spec.statistics)

    # Tokens of a step.

    def local_tokens(self, seen: Tensor, previous: Tensor, told: Tensor) -> Tensor:
        """a_{t-1}, the pieces of s_t, and r_{t-1} or R̂_t: (batch, steps, tokens, local width)."""
        action = self.hide(self.actions(previous))
        tokens = [action[..., None, :], self.pieces(seen)]
        if self.told is not None:
            if self.pictures and self.settings.reward_token == "reward":
                told = told.clamp(-1, 1)  # as value methods clip the rewards of games
            tokens.append(self.told(told[..., None, None]).tanh())
        return torch.cat(tokens, dim=2)

    # Attend.

    def attend(
        self,
        observation: Observation,
        previous: Tensor,
        told: Tensor,
        timesteps: Tensor,
        mask: Tensor,
        past: TransformerState,
    ) -> tuple[Tensor, KVCache]:
        """z of the last layer (batch, steps, width), and what later steps attend to."""
        seen, time = observation[self.observed], self.time(timesteps)
        local = self.drop(self.local_tokens(seen, previous, told))
        state = self.drop(self.encoder(seen) + time)
        steps = torch.arange(past.step, past.step + state.shape[1])
        joined, own = Positions(2 * steps, steps), Positions(2 * steps + 1, steps)
        earlier = [] if past.cache is None else [past.cache.positions]
        keys = Positions(*(torch.cat(x) for x in zip(*earlier, joined, own, strict=True)))
        known = [] if past.cache is None else [past.cache.padding_mask]
        key_mask = torch.cat([*known, mask, mask], dim=1)
        context = AttentionContext(
            band_mask(own, keys, key_mask, self.span), distances(own, keys, self.span), None
        )
        kept = []
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            local, each = layer.within(local)
            before = None if past.cache is None else past.cache.layers[index]
            state, key_value = layer(each + time, state, context, before)
            kept.append(key_value)
        return self.norm(state), KVCache(tuple(kept), keys, key_mask)

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
        told = batch.returns_to_go if self.settings.uses_returns else batch.previous_rewards
        observation = {name: x[:, batch.context] for name, x in batch.observation.items()}
        inputs = batch.previous_actions, told, batch.timesteps, batch.mask
        previous, told, time, mask = (x[:, batch.context] for x in inputs)
        hidden, _ = self.attend(observation, previous, told, time, mask, TransformerState())
        read = self.action_head(hidden)
        error = self.action_head.error(read, batch.actions[:, batch.context])
        loss = masked_mean(error, mask)
        return loss, {"action_loss": loss, "read": read}

    # Act.

    def start(self, episodes: int) -> TransformerState:
        """Nothing is remembered before the first step."""
        return TransformerState()

    def act(self, moment: Moment, state: TransformerState) -> tuple[Tensor, TransformerState]:  # type: ignore[override]
        """What is read for a_t: local tokens are of this step alone, so only global keys and
        values are remembered.
        """
        told = moment.return_to_go if self.settings.uses_returns else moment.previous_reward
        real = torch.ones_like(moment.timestep, dtype=torch.bool)
        inputs = moment.observation, moment.previous_action, told, moment.timestep, real
        hidden, cache = self.attend(*inputs, state)
        kept = cache.since(state.step + 1 - self.span)
        return self.action_head(hidden[:, -1]), TransformerState(state.step + 1, kept)


def _followed(earlier: KeyValue, later: KeyValue) -> KeyValue:
    """The keys and values of both."""
    return KeyValue(*(torch.cat(pair, dim=2) for pair in zip(earlier, later, strict=True)))
