"""What it costs to add a token to the rows of a plan."""

from typing import Any

import torch
from planners import KIND
from policies import STATE, TORQUES, method_config, spec_of, trajectories_of
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.methods import make
from pipeline.methods.trajectory_transformer import TrajectoryTransformer

SMALL = {"width": 16, "layers": 2, "heads": 2, "bins": 6, "context_length": 4}


class Operations(TorchDispatchMode):
    """Counts what is dispatched."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_a_token_is_fed_with_few_operations() -> None:
    """With few rows their number is what a decision costs."""
    data = trajectories_of([8, 12], space=TORQUES)
    learner = make(
        method_config("trajectory_transformer", **SMALL), spec_of(KIND, {"trajectories": data})
    )
    assert isinstance(learner, TrajectoryTransformer)
    with torch.inference_mode():
        hidden, past = learner.eval().model.begin(torch.zeros(1, STATE, dtype=torch.int64))
        past = past.select(torch.zeros(4, dtype=torch.int64))
        with Operations() as operations:
            token = past.bins(hidden.expand(4, -1), STATE).argmax(dim=-1)
            past.feed(token, STATE)
    assert operations.count <= 20 * learner.settings.layers + 6
