"""Plans of a sequence model whose steps are embeddings: a model, trained beside it, of what follows
a step takes the place of the encoder, and the policy's own trunk goes on from there.

With x_t = LN(pool(O_t)), without gain, x̂_{t+1} follows from h_t, x_t and a_t and enters the trunk
where pool(O_{t+1}) would. The model reads the policy's vectors and changes none of them. The head
of the next embedding is not told a_t, so by that alone all plans would look alike.

The policy is conditioned on a return, which would tell a value and a reward's sign more than what
is seen. So the model learns from an h_t that was told another window's return.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from pipeline.nn.kv_cache import Positions, TransformerState
from pipeline.nn.step_world import Dynamics, Imagination
from pipeline.nn.transformer import Transformer


class EmbeddingWorld(nn.Module):
    """The model; see the module."""

    of_data: ClassVar[tuple[str, ...]] = ("scale",)

    scale: Tensor
    """() what discounted returns are divided by."""

    def __init__(self, width: int, embed: int, actions: int) -> None:
        super().__init__()
        self.dynamics = Dynamics(width, actions)
        nn.init.normal_(self.dynamics.action.weight, std=0.5)
        self.decoder = nn.Linear(width, 2 * embed)
        self.value = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.register_buffer("scale", torch.ones(()))

    def follow(self, hidden: Tensor, x: Tensor, actions: Tensor) -> Imagination:
        """After h and x (…, width) and actions (…) int64."""
        told: Imagination = self.dynamics(hidden, x, actions)
        return told

    def decode(self, x: Tensor, task: Tensor | None = None) -> Tensor:
        """The whitened embeddings (…, 2 · embed) that x tells of."""
        decoded: Tensor = self.decoder(x)
        return decoded.float()

    def values(self, hidden: Tensor) -> Tensor:
        """The scaled discounted return that is to be expected at h (…, width): (…)."""
        value: Tensor = self.value(hidden)
        return value[..., 0].float()


class Policy(Protocol):
    """What is imagined with."""

    @property
    def transformer(self) -> Transformer:
        """The trunk."""

    def tokens(
        self, pooled: Tensor, observation: dict[str, Tensor], returns: Tensor, timesteps: Tensor
    ) -> Tensor:
        """The transformer's inputs, of pool(O) (rows, steps, width) or what takes its place."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Of each action (rows, actions)."""
        ...


def decode(
    transformer: Transformer, x: Tensor, returns: Tensor, memory: TransformerState
) -> tuple[Tensor, TransformerState]:
    """h (rows, width) of one step more, whose inputs are x (rows, tokens, width) and which is told
    R̂ (rows, 1).
    """
    positions = Positions.of_steps(memory.step, 1, x.shape[1])
    return transformer.decode_step(x, positions, memory, returns.expand(-1, x.shape[1]))


@dataclass(frozen=True)
class Step:
    """Episodes at one step, seen or imagined."""

    x: Tensor
    """(rows, width)."""
    hidden: Tensor
    """(rows, width)."""
    memory: TransformerState
    returns: Tensor
    """(rows, 1): R̂, which stays as it is within a plan."""
    timestep: Tensor
    """(rows, 1) int64."""

    def select(self, rows: Tensor) -> "Step":
        """The rows `rows`."""
        told = self.returns[rows], self.timestep[rows]
        return Step(self.x[rows], self.hidden[rows], self.memory.select(rows), *told)


@dataclass(frozen=True)
class ImaginedPlay:
    """The model that plans are made in, as `plan` takes it."""

    policy: Policy
    world: EmbeddingWorld

    def log_prior(self, node: Step) -> Tensor:
        """log π."""
        return self.policy.logits(node.hidden).log_softmax(dim=-1)

    def imagine(self, node: Step, actions: Tensor) -> tuple[Step, Tensor, Tensor]:
        """The next step, the scaled reward, and the probability that the episode goes on."""
        told = self.world.follow(node.hidden, node.x, actions)
        after = node.timestep + 1
        x = self.policy.tokens(told.x[:, None], {}, node.returns, after)
        hidden, memory = decode(self.policy.transformer, x, node.returns, node.memory)
        less, _, more = told.reward.softmax(dim=-1).unbind(dim=-1)
        then = Step(told.x, hidden, memory, node.returns, after)
        return then, (more - less) / self.world.scale, torch.sigmoid(-told.end)

    def leaf(self, node: Step) -> Tensor:
        """V."""
        return self.world.values(node.hidden)
