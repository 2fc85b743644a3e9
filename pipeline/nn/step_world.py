"""A world model of one token per environment step: what is observed becomes a vector x_t, a causal
transformer reads x_1 … x_t as h_t, and from h_t, x_t and a_t follow x_{t+1}, the sign of the
reward, and whether the episode ends.

Every game has an encoder of its own, so x_t is made by an adapter per game. x_t has no scale of its
own (LayerNorm without gain), and a decoder holds it to the frozen embeddings of the data: a target
that is only trained along collapses to a constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.kv_cache import Positions, TransformerState
from pipeline.nn.per_task import PerTask, TaskEmbedding
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.token_pooling import AttentionPooling, without_prompts
from pipeline.nn.transformer import Transformer, TransformerShape

SIGNS = 3
"""Of a reward: −, 0, +."""


class TrunkShape(TransformerShape, Protocol):
    """What settings say of the transformer of a world model, whatever its tokens are."""

    @property
    def context_length(self) -> int:
        """Steps that a token sees, its own included."""

    @property
    def time_embedding(self) -> str:
        """As `TimeEmbedding` takes it."""

    @property
    def max_timesteps(self) -> int:
        """Of the learned time embedding."""

    @property
    def task_embedding(self) -> bool:
        """Whether the trunk is told which game it is."""


class WorldShape(TrunkShape, Protocol):
    """What settings say of a world model."""

    @property
    def pooling_queries(self) -> int:
        """Of each modality, in an adapter."""

    @property
    def history_dropout(self) -> float:
        """Share of windows in which the previous action's prompt is hidden in training."""


class Imagination(NamedTuple):
    """What follows a step: (…) are those of h_t."""

    x: Tensor
    """(…, width) x̂_{t+1}."""
    reward: Tensor
    """(…, 3) logits of its sign."""
    end: Tensor
    """(…) logit."""


@dataclass(frozen=True)
class Step:
    """Episodes at one step, seen or imagined."""

    x: Tensor
    """(rows, width)."""
    hidden: Tensor
    """(rows, width)."""
    memory: TransformerState
    task: Tensor
    """(rows,) int64."""
    timestep: Tensor
    """(rows, 1) int64."""

    def select(self, rows: Tensor) -> "Step":
        """The rows `rows`."""
        memory = self.memory.select(rows)
        return Step(self.x[rows], self.hidden[rows], memory, self.task[rows], self.timestep[rows])


class Adapter(nn.Module):
    """The tokens of one game → x_t, and x_t → its whitened mean embeddings of text and picture."""

    def __init__(self, told: Mapping[str, Any], embed: int, queries: int, width: int) -> None:
        """`told` of the game: `text_tokens`, and in training `token_mean` and `token_std`."""
        super().__init__()
        self.text_tokens = int(told["text_tokens"])
        self.pool = AttentionPooling(self.text_tokens, embed, queries, width)
        self.decode = nn.Linear(width, 2 * embed)
        if (mean := told.get("token_mean")) is not None:
            self.pool.whiten.fit(torch.as_tensor(mean), torch.as_tensor(told["token_std"]))

    def forward(self, tokens: Tensor, mask: Tensor, hidden_share: float = 0.0) -> Tensor:
        """x of tokens (batch, steps, tokens, embed): (batch, steps, width) float32."""
        seen = without_prompts(mask, self.text_tokens, hidden_share, self.training)
        return normalised(self.pool(tokens, seen))


class Dynamics(nn.Module):
    """What follows a step: x̂_{t+1} = LN(x_t + W m), the reward's sign and the end, from m of
    (h_t, x_t, a_t).
    """

    def __init__(self, width: int, actions: int) -> None:
        super().__init__()
        self.action = nn.Embedding(actions, width)
        self.body = nn.Sequential(
            nn.Linear(3 * width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, 2 * width),
            nn.GELU(),
        )
        self.change = nn.Linear(2 * width, width)
        self.reward, self.end = nn.Linear(2 * width, SIGNS), nn.Linear(2 * width, 1)
        for each in self.change.parameters():  # at first nothing changes
            nn.init.zeros_(each)

    def forward(self, hidden: Tensor, x: Tensor, actions: Tensor) -> Imagination:
        """After h and x (…, width) and actions (…) int64.

        No gradient goes to x_t: changes would be easier to predict if it changed less.
        """
        x = x.detach()
        m = self.body(torch.cat((hidden, x, self.action(actions)), dim=-1))
        following = normalised(x + self.change(m))
        return Imagination(following, self.reward(m).float(), self.end(m).float()[..., 0])


class StepWorld(nn.Module):
    """The model; see the module."""

    def __init__(
        self,
        shape: WorldShape,
        embed: int,
        told: Sequence[Mapping[str, Any]],
        actions: int,
    ) -> None:
        """`told` of each game, and the number of actions of all of them together."""
        super().__init__()
        self.shape, width = shape, shape.width
        queries = shape.pooling_queries
        self.adapters = PerTask(Adapter(each, embed, queries, width) for each in told)
        self.gain = nn.Parameter(torch.ones(width))
        self.task = TaskEmbedding(len(told), width) if shape.task_embedding else None
        self.time = TimeEmbedding(shape.time_embedding, width, shape.max_timesteps)
        relative = shape.time_embedding == "relative"
        self.transformer = Transformer(shape, shape.context_length - 1, relative=relative)
        self.dynamics = Dynamics(width, actions)
        if self.task is not None:
            nn.init.normal_(self.task.weight, std=0.02)
        nn.init.normal_(self.dynamics.action.weight, std=0.5)

    # What is seen.

    def encode(self, observation: Mapping[str, Tensor], task: Tensor) -> Tensor:
        """x (batch, steps, width) of the games `task` (batch,)."""
        tokens, mask = observation["tokens"], observation["mask"]
        x = torch.zeros(*mask.shape[:2], self.shape.width, device=mask.device)
        for rows, adapter in self._of_each_game(task):
            x[rows] = adapter(tokens[rows], mask[rows], self.shape.history_dropout)
        return x

    def decode(self, x: Tensor, task: Tensor) -> Tensor:
        """The whitened embeddings (batch, steps, 2 · embed) that x tells of."""
        games = self._of_each_game(task)
        decoded = torch.zeros(*x.shape[:2], games[0][1].decode.out_features, device=x.device)
        for rows, adapter in games:
            decoded[rows] = adapter.decode(x[rows]).float()
        return decoded

    def _of_each_game(self, task: Tensor) -> list[tuple[Tensor, Any]]:
        """The rows of each game that there is, and its adapter."""
        rows = [(task == index).nonzero()[:, 0] for index in range(len(self.adapters))]
        return [pair for pair in zip(rows, self.adapters, strict=True) if len(pair[0])]

    # The trunk.

    def tokens(self, x: Tensor, task: Tensor, timesteps: Tensor) -> Tensor:
        """The trunk's inputs (batch, steps, width): gain ⊙ x_t + task (+ time_t)."""
        token: Tensor = self.gain * x + self.time(timesteps)
        return token if self.task is None else token + self.task(task)[:, None]

    def hidden(self, x: Tensor, task: Tensor, timesteps: Tensor, mask: Tensor) -> Tensor:
        """h of whole windows, (batch, steps, width)."""
        return self.transformer.window(self.tokens(x, task, timesteps), mask, 1, 0)

    def step(self, x: Tensor, task: Tensor, timestep: Tensor, memory: TransformerState) -> Step:
        """One step more, x (rows, width), on the rolling cache of those before."""
        token = self.tokens(x[:, None], task, timestep)
        where = Positions.of_steps(memory.step, 1, 1)
        hidden, memory = self.transformer.decode_step(token, where, memory)
        return Step(x, hidden, memory, task, timestep)

    # What follows.

    def follow(self, hidden: Tensor, x: Tensor, actions: Tensor) -> Imagination:
        """See `Dynamics`."""
        told: Imagination = self.dynamics(hidden, x, actions)
        return told

    def imagine(self, now: Step, actions: Tensor) -> tuple[Step, Imagination]:
        """The step after actions (rows,) int64."""
        told = self.follow(now.hidden, now.x, actions)
        return self.step(told.x, now.task, now.timestep + 1, now.memory), told


def normalised(x: Tensor) -> Tensor:
    """LayerNorm (…, width) without gain and bias, float32."""
    return functional.layer_norm(x.float(), x.shape[-1:])
