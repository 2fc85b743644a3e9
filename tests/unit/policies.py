"""Small policies, batches and stores that the tests of stage two share."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.config.methods import own
from pipeline.config.schema import MethodConfig
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.methods import Moment, Spec, make
from pipeline.observations import Observation
from pipeline.observations.batch import Batch

ACTIONS, TEXT, REGIONS, EMBED, STATE = 3, 4, 5, 16, 6
SPACE = ActionSpace(("A", "B", "C"))
TORQUES = ActionSpace(("HIP", "KNEE"), continuous=True, low=(-1.0, -2.0), high=(1.0, 2.0))
PIXELS, VECTOR = {"frames": (4, 84, 84)}, {"state": (STATE,)}
TOKENS = {"tokens": (TEXT + REGIONS, EMBED), "mask": (TEXT + REGIONS,), "pooled": (2, EMBED)}
SHAPE: dict[str, dict[str, tuple[int, ...]]] = {
    "more3s": TOKENS,
    "decision_transformer": PIXELS,
    "behaviour_cloning": PIXELS,
    "more3s on images": TOKENS,
    "more3s on images and states": TOKENS | VECTOR,
    "decision_transformer on states": VECTOR,
    "decision_transformer_glu on states": VECTOR,
    "behaviour_cloning on states": VECTOR,
    "starformer": PIXELS,
    "starformer on states": VECTOR,
}
"""A method with discrete actions and, "on" something, with continuous ones."""
POLICY = {"context_length": 3, "memory_length": 3, "width": 32, "layers": 2, "heads": 2}
PADDED = (
    *("actions", "previous_actions", "rewards", "previous_rewards", "returns_to_go"),
    *("timesteps", "terminal"),
)
METHODS = list(SHAPE)
CONDITIONINGS = ["condition", "linear", "token", "none"]


def method_config(
    method: str, training: dict[str, Any] | None = None, **policy: Any
) -> MethodConfig:
    """Settings of a method, which takes those that it has."""
    name = method.partition(" ")[0]
    sections = {"policy": own(name, {**POLICY, **policy}), "training": training or {}}
    return MethodConfig.model_validate({"method": name, **sections})


def space_of(method: str) -> ActionSpace:
    return TORQUES if " on " in method else SPACE


def others(actions: torch.Tensor) -> torch.Tensor:
    """Other actions than these."""
    return -actions if actions.is_floating_point() else (actions + 1) % ACTIONS


def policy_of(
    method: str, randomised: bool = True, attributes: dict[str, Any] | None = None, **policy: Any
) -> Any:
    """A policy in evaluation mode; randomised, so that nothing is zero by initialisation."""
    torch.manual_seed(0)
    known = {"text_tokens": TEXT, "action_embeddings": np.eye(ACTIONS, EMBED), **(attributes or {})}
    built = make(method_config(method, **policy), spec_of(method, known))
    if randomised:
        for parameter in built.parameters():
            if parameter.dim() < 4:
                nn.init.normal_(parameter, std=0.3)
    return built.eval()


def spec_of(method: str, statistics: Mapping[str, Any] | None = None) -> Spec:
    return Spec(("Made up",), (space_of(method),), SHAPE[method], statistics or {})


def observation_of(method: str, batch: int, steps: int) -> Observation:
    return {
        name: tensor for name, tensor in _tensors(batch, steps).items() if name in SHAPE[method]
    }


def _tensors(batch: int, steps: int) -> Observation:
    mask = torch.rand(batch, steps, TEXT + REGIONS) < 0.8
    mask[..., 0] = mask[..., TEXT] = True
    return {
        "tokens": torch.randn(batch, steps, TEXT + REGIONS, EMBED).half(),
        "mask": mask,
        "pooled": torch.randn(batch, steps, 2, EMBED),
        "state": torch.randn(batch, steps, STATE),
        "frames": torch.randint(0, 256, (batch, steps, 4, 84, 84), dtype=torch.uint8),
    }


def batch_of(method: str, batch: int, steps: int, memory_length: int = 0, seed: int = 1) -> Batch:
    """Windows without padding that begin with the episode."""
    torch.manual_seed(seed)
    actions = torch.randint(0, ACTIONS, (batch, steps))
    if (space := space_of(method)).continuous:
        actions = torch.rand(batch, steps, space.size) * 2 - 1
    start = torch.from_numpy(space.start()).expand(batch, 1, *space.row_shape)
    previous = torch.cat((start, actions[:, :-1]), dim=1)
    return Batch(
        observation=observation_of(method, batch, steps),
        actions=actions,
        previous_actions=previous,
        rewards=torch.zeros(batch, steps),
        previous_rewards=torch.zeros(batch, steps),
        returns_to_go=torch.rand(batch, steps),
        timesteps=torch.arange(steps).expand(batch, steps),
        terminal=torch.zeros(batch, steps, dtype=torch.bool),
        mask=torch.ones(batch, steps, dtype=torch.bool),
        task=torch.zeros(batch, dtype=torch.int64),
        index=torch.arange(batch),
        memory=memory_length,
    )


def padded(batch: Batch, count: int, value: int = 0) -> Batch:
    """The batch with `count` padded steps on the left, filled with `value`."""

    def pad(x: torch.Tensor) -> torch.Tensor:
        filler = torch.full((len(x), count, *x.shape[2:]), value).to(x.dtype)
        return torch.cat((filler, x), dim=1)

    return replace(
        batch,
        observation={name: pad(tensor) for name, tensor in batch.observation.items()},
        mask=torch.nn.functional.pad(batch.mask, (count, 0)),
        **{name: pad(getattr(batch, name)) for name in PADDED},
    )


def without_memory(batch: Batch) -> Batch:
    return replace(batch, memory=0)


def acted(policy: Any, batch: Batch) -> Iterator[torch.Tensor]:
    """Logits of a_t, step by step with the cache."""
    state = policy.start(len(batch.actions))
    for t in range(batch.actions.shape[1]):
        with torch.no_grad():
            logits, state = policy.act(moment_of(batch, t), state)
        yield logits


def moment_of(batch: Batch, t: int) -> Moment:
    """Step `t` of the windows as it is seen in play."""
    now = slice(t, t + 1)
    before = batch.rewards[:, t - 1 : t] if t else torch.zeros_like(batch.rewards[:, :1])
    return Moment(
        {name: tensor[:, now] for name, tensor in batch.observation.items()},
        batch.previous_actions[:, now],
        before,
        batch.returns_to_go[:, now],
        batch.timesteps[:, now],
        batch.task,
        lambda *shape: torch.zeros(len(batch.actions), *shape),
    )


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


def trajectories_of(lengths: list[int], seed: int = 0, space: ActionSpace = SPACE) -> Trajectories:
    """Made-up episodes; of continuous actions they hold state vectors too."""
    generator = np.random.default_rng(seed)
    steps, episodes = sum(lengths), len(lengths)
    rewards = generator.integers(0, 3, steps).astype(np.float32)
    starts = np.cumsum(lengths) - lengths
    actions, observations = generator.integers(0, ACTIONS, steps), None
    if space.continuous:
        actions = generator.uniform(space.low, space.high, (steps, space.size)).astype("f4")
        observations = generator.normal(3, 2, (steps, STATE)).astype("f4")
    return Trajectories(
        actions=actions,
        observations=observations,
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


def overfit(
    policy: Any, batch: Batch, steps: int, learned: Callable[[dict[str, torch.Tensor]], bool]
) -> bool:
    """Whether a policy has learned one batch after so many updates at the most."""
    optimizer = torch.optim.AdamW(policy.train().parameters(), 3e-3)
    for _ in range(steps):
        loss, parts = policy.loss(batch)
        if learned(parts):
            return True
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return False


def logits_of(policy: Any, batch: Batch) -> torch.Tensor:
    """What it would do: logits, or continuous actions."""
    with torch.no_grad():
        read: torch.Tensor = policy.read(batch)[0]
    return read
