"""Small policies, batches and stores that the tests of stage two share."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.actions import ActionSpace
from pipeline.config import MethodConfig
from pipeline.models import Batch, make
from pipeline.observations import Observation
from pipeline.trajectories import Trajectories

ACTIONS, TEXT, REGIONS, EMBED = 3, 4, 5, 16
SPACE = ActionSpace(("A", "B", "C"))
SHAPE = {
    "more3s": {"tokens": (TEXT + REGIONS, EMBED), "mask": (TEXT + REGIONS,), "pooled": (2, EMBED)},
    "decision_transformer": {"frames": (4, 84, 84)},
    "behaviour_cloning": {"frames": (4, 84, 84)},
}
POLICY = {"context_length": 3, "memory_length": 3, "width": 32, "layers": 2, "heads": 2}
METHODS = list(SHAPE)
CONDITIONINGS = ["condition", "linear", "token", "none"]


def method_config(
    method: str, training: dict[str, Any] | None = None, **policy: Any
) -> MethodConfig:
    sections = {"policy": {**POLICY, **policy}, "training": training or {}}
    return MethodConfig.model_validate({"method": method, **sections})


def policy_of(
    method: str, randomised: bool = True, attributes: dict[str, Any] | None = None, **policy: Any
) -> Any:
    """A policy in evaluation mode; randomised, so that nothing is zero by initialisation."""
    torch.manual_seed(0)
    known = {"text_tokens": TEXT, "action_embeddings": np.eye(ACTIONS, EMBED), **(attributes or {})}
    built = make(method_config(method, **policy), SHAPE[method], known, SPACE)
    assert isinstance(built, nn.Module)
    if randomised:
        for parameter in built.parameters():
            if parameter.dim() < 4:
                nn.init.normal_(parameter, std=0.3)
    return built.eval()


def observation_of(method: str, batch: int, steps: int) -> Observation:
    if method != "more3s":
        return {"frames": torch.randint(0, 256, (batch, steps, 4, 84, 84), dtype=torch.uint8)}
    mask = torch.rand(batch, steps, TEXT + REGIONS) < 0.8
    mask[..., 0] = mask[..., TEXT] = True
    return {
        "tokens": torch.randn(batch, steps, TEXT + REGIONS, EMBED).half(),
        "mask": mask,
        "pooled": torch.randn(batch, steps, 2, EMBED),
    }


def batch_of(method: str, batch: int, steps: int, memory_length: int = 0, seed: int = 1) -> Batch:
    """Windows without padding that begin with the episode."""
    torch.manual_seed(seed)
    actions = torch.randint(0, ACTIONS, (batch, steps))
    previous = torch.cat((torch.zeros(batch, 1, dtype=torch.int64), actions[:, :-1]), dim=1)
    return Batch(
        observation_of(method, batch, steps),
        actions,
        previous,
        torch.rand(batch, steps),
        torch.arange(steps).expand(batch, steps),
        torch.ones(batch, steps, dtype=torch.bool),
        memory_length,
    )


def padded(batch: Batch, count: int, value: int = 0) -> Batch:
    """The batch with `count` padded steps on the left, filled with `value`."""

    def pad(x: torch.Tensor) -> torch.Tensor:
        filler = torch.full((len(x), count, *x.shape[2:]), value).to(x.dtype)
        return torch.cat((filler, x), dim=1)

    return Batch(
        {name: pad(tensor) for name, tensor in batch.observation.items()},
        pad(batch.actions),
        pad(batch.previous_actions),
        pad(batch.returns_to_go),
        pad(batch.timesteps),
        torch.nn.functional.pad(batch.attention_mask, (count, 0)),
        batch.memory_length,
    )


def without_memory(batch: Batch) -> Batch:
    return replace(batch, memory_length=0)


def acted(policy: Any, batch: Batch) -> Iterator[torch.Tensor]:
    """Logits of a_t, step by step with the cache."""
    state = policy.start(len(batch.actions))
    for t in range(batch.actions.shape[1]):
        now = slice(t, t + 1)
        logits, state = policy.act(
            {name: tensor[:, now] for name, tensor in batch.observation.items()},
            batch.previous_actions[:, now],
            batch.returns_to_go[:, now],
            batch.timesteps[:, now],
            state,
        )
        yield logits


class RandomStore:
    """Observations that depend on the step alone."""

    def __init__(self, method: str, steps: int) -> None:
        torch.manual_seed(7)
        self.observation = observation_of(method, 1, steps)
        self.shape = SHAPE[method]
        self.attributes = {"text_tokens": TEXT, "weights": "encoder random"}

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        rows = torch.from_numpy(steps)
        real = rows >= 0
        gathered = {name: tensor[0, rows.clamp(min=0)] for name, tensor in self.observation.items()}
        return {
            name: x * real.view(*real.shape, *[1] * (x.dim() - 2)) for name, x in gathered.items()
        }


def trajectories_of(lengths: list[int], seed: int = 0) -> Trajectories:
    generator = np.random.default_rng(seed)
    steps, episodes = sum(lengths), len(lengths)
    rewards = generator.integers(0, 3, steps).astype(np.float32)
    starts = np.cumsum(lengths) - lengths
    return Trajectories(
        actions=generator.integers(0, ACTIONS, steps),
        rewards=rewards,
        episode_length=np.array(lengths, np.int64),
        terminated=np.ones(episodes, np.bool_),
        score=np.add.reduceat(rewards.astype(np.float64), starts),
        seed=np.arange(episodes),
        noops=np.zeros(episodes, np.int64),
        epsilon=np.zeros(episodes),
        state_sha256=("",) * episodes,
        source="made up",
    )
