"""A world model of frames as tokens: a step is the P codes of a frame and then an action, and each
code is predicted from all tokens before it. At the action follow the sign of the reward and whether
the episode ends; at the last code of a frame values are read.

A step is imagined token by token, each time the most probable code.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from pipeline.nn.decoding import Decoding
from pipeline.nn.kv_cache import Positions, TransformerState
from pipeline.nn.per_task import TaskEmbedding
from pipeline.nn.step_world import SIGNS, TrunkShape
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.transformer import Transformer, initialise


class FrameWorldShape(TrunkShape, Protocol):
    """What settings say of it."""

    @property
    def codebook(self) -> int:
        """K."""


class Outcome(NamedTuple):
    """How a step ends; (…) are those of the action's hidden state."""

    reward: Tensor
    """(…, 3) logits of its sign."""
    end: Tensor
    """(…) logit."""


@dataclass(frozen=True)
class Frame:
    """Episodes whose last frame has been read or imagined."""

    hidden: Tensor
    """(rows, width), at its last code."""
    past: Decoding
    task: Tensor
    """(rows,) int64."""
    timestep: Tensor
    """(rows, 1) int64."""

    def select(self, rows: Tensor) -> "Frame":
        """The rows `rows`."""
        told = self.task[rows], self.timestep[rows]
        return Frame(self.hidden[rows], self.past.select(rows), *told)


class FrameWorld(nn.Module):
    """The model; see the module."""

    def __init__(self, shape: FrameWorldShape, frame: int, tasks: int, actions: int) -> None:
        """`frame` is P."""
        super().__init__()
        self.shape, self.frame, width = shape, frame, shape.width
        self.code = nn.Embedding(shape.codebook, width)
        self.action = nn.Embedding(actions, width)
        self.place = nn.Parameter(torch.zeros(frame + 1, width))
        # of the tokens of frames, and of those of actions
        self.task_seen = TaskEmbedding(tasks, width) if shape.task_embedding else None
        self.task_done = TaskEmbedding(tasks, width) if shape.task_embedding else None
        self.time = TimeEmbedding(shape.time_embedding, width, shape.max_timesteps)
        relative = shape.time_embedding == "relative"
        self.transformer = Transformer(shape, shape.context_length - 1, relative=relative)
        self.next_code = _head(width, shape.codebook)
        self.reward, self.end = _head(width, SIGNS), _head(width, 1)
        for part in (self.code, self.action, self.task_seen, self.task_done):
            if part is not None:
                nn.init.normal_(part.weight, std=0.02)
        nn.init.normal_(self.place, std=0.02)

    @property
    def tokens_per_step(self) -> int:
        """P + 1."""
        return self.frame + 1

    # In.

    def seen(self, codes: Tensor, task: Tensor, timesteps: Tensor) -> Tensor:
        """The trunk's inputs of frames (B, S, P): (B, S, P, width)."""
        x: Tensor = self.code(codes) + self.place[:-1] + self.time(timesteps)[:, :, None]
        return x if self.task_seen is None else x + self.task_seen(task)[:, None, None]

    def done(self, actions: Tensor, task: Tensor, timesteps: Tensor) -> Tensor:
        """The same of actions (B, S): (B, S, width)."""
        x: Tensor = self.action(actions) + self.place[-1] + self.time(timesteps)
        return x if self.task_done is None else x + self.task_done(task)[:, None]

    def hidden(
        self, codes: Tensor, actions: Tensor, task: Tensor, timesteps: Tensor, mask: Tensor
    ) -> Tensor:
        """Of whole windows, (B, S, P + 1, width); `mask` (B, S) says which steps are real."""
        seen, done = self.seen(codes, task, timesteps), self.done(actions, task, timesteps)
        x = torch.cat((seen, done[:, :, None]), dim=2)
        real = mask.repeat_interleave(self.tokens_per_step, dim=1)
        hidden = self.transformer.window(x.flatten(1, 2), real, self.tokens_per_step, 0)
        return hidden.view(x.shape)

    # Out.

    def following(self, hidden: Tensor) -> Tensor:
        """Logits (…, K) float32 of the code that follows each token (…, width)."""
        logits: Tensor = self.next_code(hidden)
        return logits.float()

    def outcome(self, hidden: Tensor) -> Outcome:
        """Of actions' hidden states (…, width)."""
        return Outcome(self.reward(hidden).float(), self.end(hidden).float()[..., 0])

    # One step more.

    def step(
        self,
        codes: Tensor,
        before: Tensor,
        task: Tensor,
        timestep: Tensor,
        memory: TransformerState,
    ) -> tuple[Tensor, TransformerState]:
        """The hidden states (rows, width) of the last code of frames (rows, P), which actions
        `before` (rows, 1) have led to unless nothing is remembered, on the rolling cache.
        """
        x = self.seen(codes[:, None], task, timestep)[:, 0]
        where = Positions.of_steps(memory.step, 1, self.tokens_per_step).slice(0, self.frame)
        if memory.step:
            done = self.done(before, task, timestep - 1)
            last = Positions.of_steps(memory.step - 1, 1, self.tokens_per_step)
            pairs = zip(last.slice(self.frame, None), where, strict=True)
            x, where = torch.cat((done, x), dim=1), Positions(*map(torch.cat, pairs))
        return self.transformer.decode_step(x, where, memory)

    def begin(
        self, hidden: Tensor, memory: TransformerState, task: Tensor, timestep: Tensor
    ) -> Frame:
        """Where plans begin: after `step`."""
        assert memory.cache is not None
        past = Decoding.after(self.transformer, memory.cache, self.tokens_per_step)
        return Frame(hidden, past, task, timestep)

    def imagine(self, now: Frame, actions: Tensor) -> tuple[Frame, Outcome]:
        """The most probable frame after actions (rows,) int64, and how the step ends. Writes into
        the buffers of `now`, as `Decoding.feed` does.
        """
        task, when = now.task, now.timestep
        hidden, past = now.past.feed(self.done(actions[:, None], task, when)[:, 0])
        told, later = self.outcome(hidden), when + 1
        common = self.place[:-1] + self.time(later)  # (rows, P, width)
        if self.task_seen is not None:
            common = common + self.task_seen(task)[:, None]
        for place in range(self.frame):
            code = self.following(hidden).argmax(dim=-1)
            hidden, past = past.feed(self.code(code) + common[:, place])
        return Frame(hidden, past, task, later), told


def _head(width: int, outputs: int) -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, outputs)).apply(
        initialise
    )
