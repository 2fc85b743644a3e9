"""JOWA on made-up data, of one game or of two."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from policies import (
    SPACE,
    TEXT,
    TOKENS,
    RandomStore,
    trajectories_of,
)
from torch import Tensor, nn

from pipeline.config.schema import MethodConfig
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace, joined
from pipeline.methods import Spec, make
from pipeline.methods.jowa import JOWA
from pipeline.observations.batch import Batch
from pipeline.observations.windows import Windows

POLICY: dict[str, Any] = {
    **{"context_length": 6, "width": 32, "layers": 2, "heads": 2, "dropout": 0.0, "n_step": 2},
    **{"pooling_queries": 4, "unknown_steps": 2, "history_dropout": 0.0},
}
OTHER = ActionSpace(("A", "C", "D"))
LENGTHS = [12, 9, 14]


def data_of(cut: tuple[int, ...] = (1,), seed: int = 0) -> Trajectories:
    data = trajectories_of(LENGTHS, seed)
    return replace(data, terminated=np.array([i not in cut for i in range(len(LENGTHS))]))


def learner_of(
    data: Trajectories | None = None, randomised: bool = False, several: bool = False, **policy: Any
) -> JOWA:
    """Of one game, or of two that have other actions; `data` is that of all of them."""
    told: dict[str, Any] = {"text_tokens": TEXT}
    if data is not None:
        told["trajectories"] = data
    spec = Spec(("Made up",), (SPACE,), TOKENS, told)
    if several:
        games, joint = (SPACE, OTHER), joined([SPACE, OTHER])
        spec = Spec(("One", "Two"), games, TOKENS, {}, (told, told), joint)
    torch.manual_seed(0)
    settings = {"method": "jowa", "policy": {**POLICY, **policy}}
    learner = make(MethodConfig.model_validate(settings), spec)
    assert isinstance(learner, JOWA)
    if randomised:
        for each in learner.parameters():
            nn.init.normal_(each, std=0.3)
    return learner.eval()


def windows_of(learner: JOWA, data: Trajectories) -> Windows:
    store = RandomStore("more3s", len(data.actions))
    return Windows(data, store, SPACE, 1.0, learner.settings)


def batch_of(learner: JOWA, ends: list[int], data: Trajectories | None = None) -> Batch:
    return windows_of(learner, data or data_of()).batch(np.array(ends))


def losses_of(learner: JOWA, batch: Batch) -> dict[str, Tensor]:
    return learner.parts(batch)[1]
