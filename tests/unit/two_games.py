"""Two games that are learned together, for the tests of methods of several."""

from dataclasses import replace
from typing import Any

import torch
from policies import PIXELS

from pipeline.environments.action_space import ActionSpace, joined
from pipeline.methods import Spec
from pipeline.observations.batch import Batch

PONG = ActionSpace(("NOOP", "UP", "DOWN"))
QBERT = ActionSpace(("NOOP", "UP", "RIGHT", "FIRE"))


def two_games(**per_task: Any) -> Spec:
    """On frames; `per_task` is what is known of each."""
    spaces = (PONG, QBERT)
    known = tuple(dict(per_task) for _ in spaces) if per_task else ()
    return Spec(("Pong", "Qbert"), spaces, PIXELS, {}, known, joined(spaces))


def of_two_games(batch: Batch, spec: Spec) -> Batch:
    """The windows as those of both games in turn, with actions that each has."""
    task = torch.arange(len(batch.actions)) % 2
    known = [torch.nonzero(allowed)[:, 0] for allowed in spec.allowed]
    actions = torch.stack(
        [known[t][row % len(known[t])] for t, row in zip(task, batch.actions, strict=True)]
    )
    previous = torch.nn.functional.pad(actions[:, :-1], (1, 0))
    return replace(batch, task=task, actions=actions, previous_actions=previous)
