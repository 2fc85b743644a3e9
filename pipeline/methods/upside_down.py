"""Upside-Down RL (Schmidhuber 2019, arXiv 1912.02875; Srivastava et al. 2019, arXiv 1912.02877): a
policy B(a | s, d^r, d^h) that is told which return to reach within how many steps.

Any recorded segment t1 … t2 − 1 shows how to get its own return in its own number of steps, so
B learns a_{t1} from s_{t1}, d^r = Σ_{t1 ≤ k < t2} r_k and d^h = t2 − t1. In play d^r ← d^r − r and
d^h ← max(d^h − 1, 1). State and command meet in a product, tanh(W s) ⊙ sigmoid(W' d).

A segment that ends where its episode was cut is as true as any other, so cuts need no care here.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.config.methods.upside_down import Settings
from pipeline.data.trajectories import Trajectories
from pipeline.methods import ActingState, Learner, Moment, Spec
from pipeline.nn.action_head import ActionHead
from pipeline.nn.masking import masked_mean
from pipeline.nn.mlp import mlp
from pipeline.nn.state_encoders import FrameEncoder, StateEncoder
from pipeline.observations.batch import Batch


class UpsideDown(Learner):
    """The learner; see the module."""

    settings: Settings
    best_length: Tensor
    """() mean length of the quarter of the episodes with the largest returns."""
    longest: Tensor
    """() length of the longest episode: divides every d^h."""
    returns_to_go: Tensor
    """(T + 1,) R̂ of every recorded step, scaled, and 0; in training only."""
    ends: Tensor
    """(T,) int64: the step after each step's episode."""

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        (actions,), width = spec.actions, settings.width
        ((self.observed, shape),) = spec.shape.items()
        pictures = self.observed == "frames"
        self.encoder = (FrameEncoder if pictures else StateEncoder)(shape, width)
        self.encoder.fit(spec.statistics)
        self.squash = nn.Identity() if pictures else nn.Tanh()  # pictures' encoder has its own
        self.gate = nn.Linear(2, width)
        self.trunk = mlp([width] * (settings.layers + 1))
        self.action_head = ActionHead(width, actions)
        self.register_buffer("best_length", torch.ones(()))
        self.register_buffer("longest", torch.ones(()))
        if (data := spec.statistics.get("trajectories")) is not None:
            self._learn_from(data, spec.statistics["return_scale"])

    def _learn_from(self, data: Trajectories, return_scale: float) -> None:
        best = np.argsort(-data.score, kind="stable")[: max(1, len(data.score) // 4)]
        self.best_length.fill_(float(data.episode_length[best].mean()))
        self.longest.fill_(float(data.episode_length.max()))
        scaled = torch.from_numpy(np.append(data.returns_to_go, np.float32(0)) / return_scale)
        after = torch.from_numpy((data.starts + data.episode_length)[data.episode])
        self.register_buffer("returns_to_go", scaled, persistent=False)
        self.register_buffer("ends", after, persistent=False)

    # Commands.

    def command(self, first: Tensor, last: Tensor) -> Tensor:
        """(B, 2) d^r, scaled, and d^h of the segments from steps `first` (B,) to before `last`."""
        following = torch.where(last < self.ends[first], self.returns_to_go[last], 0)
        return torch.stack((self.returns_to_go[first] - following, (last - first).float()), dim=-1)

    def segments(self, first: Tensor) -> Tensor:
        """Where segments that begin at `first` (B,) end, (B,): each at least a step later."""
        end = self.ends[first]
        drawn, trailing = torch.rand(2, len(first)).to(
            first.device
        )  # of the generator that is saved
        inside = first + 1 + (drawn * (end - first)).long().clamp(max=end - first - 1)
        return torch.where(trailing < self.settings.trailing_share, end, inside)

    # Read a_t.

    def would(self, seen: Tensor, command: Tensor) -> Tensor:
        """Logits or actions (B, …) for observations (B, 1, …) and commands (B, 2)."""
        state = self.squash(self.encoder(seen))[:, 0]
        scaled = command / torch.stack((torch.ones_like(self.longest), self.longest))
        # tanh(W s) ⊙ sigmoid(W' d)
        met = state * self.gate(scaled).sigmoid()  # (B, width)
        read: Tensor = self.action_head(self.trunk(met).relu())
        return read

    def loss(self, batch: Batch, last: Tensor) -> tuple[Tensor, Tensor]:
        """The mean error of a_{t1} for segments that end at `last`, and what is read (B, 1, …)."""
        seen = batch.observation[self.observed]
        read = self.would(seen, self.command(batch.index, last))[:, None]
        return masked_mean(self.action_head.error(read, batch.actions), batch.mask), read

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """One segment from each window's step."""
        yield "policy", self.loss(batch, self.segments(batch.index))[0]

    def read(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What it would do for the rest of the episode as it was, and the loss."""
        loss, read = self.loss(batch, self.ends[batch.index])
        return read, {"loss": loss}

    # Act.

    def act(self, moment: Moment, state: ActingState) -> tuple[Tensor, ActingState]:
        """For the target return less what has been paid, in the steps that are left."""
        desired = self.settings.desired_horizon or self.best_length
        left = (desired - moment.timestep[:, 0]).clamp(min=1).float()
        command = torch.stack((moment.return_to_go[:, 0], left), dim=-1)
        return self.would(moment.observation[self.observed], command), state
