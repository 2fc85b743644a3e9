"""What a policy of other games gives to a training: what games share, and nothing of their own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from policies import PIXELS, TOKENS, method_config, trajectories_of
from torch import nn

from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace, joined
from pipeline.methods import Learner, Spec, make
from pipeline.methods.jowa import JOWA
from pipeline.training import checkpoint

SPACES = {"A": ActionSpace(("NOOP", "UP")), "B": ActionSpace(("NOOP", "FIRE"))}
JOINT = joined([*SPACES.values()])
POLICY = {"width": 16, "heads": 2, "layers": 1, "context_length": 4, "pooling_queries": 4}
CONFIG = MethodConfig.model_validate({"method": "jowa", "policy": POLICY})
OWN = "world.adapters.{}."
OF_DATA = ("whiten.mean", "whiten.scale", "scales")


def learner_of(tasks: Sequence[str], level: float) -> Learner:
    """Random in all that it learns; its data say `level`."""
    spaces, size = [SPACES.get(task, SPACES["A"]) for task in tasks], TOKENS["tokens"][1]
    told = {"text_tokens": 2, "token_mean": torch.full((2, size), level), "return_scale": 1.0}
    told |= {"token_std": torch.full((2, size), level)}
    spec = Spec(tuple(tasks), tuple(spaces), TOKENS, {}, tuple(told for _ in tasks), JOINT)
    learner = make(CONFIG, spec)
    assert isinstance(learner, JOWA)
    torch.manual_seed(int(level))
    for each in learner.parameters():
        nn.init.normal_(each)
    learner.scales.fill_(level)
    return learner


@pytest.mark.parametrize(
    ("tasks", "known"), [(("B",), {0: 1}), (("New",), {}), (("New", "A"), {1: 0})]
)
def test_what_games_have_of_their_own_goes_by_their_name(
    tasks: tuple[str, ...], known: dict[int, int], tmp_path: Path
) -> None:
    old, path = learner_of(("A", "B"), 2.0), tmp_path / "policy.safetensors"
    checkpoint.save(path, old, checkpoint.describe(CONFIG, 0, 1.0, old.spec))
    before, learner = old.state_dict(), learner_of(tasks, 3.0)
    fresh = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    checkpoint.begin_with(learner, path)
    for name, tensor in learner.state_dict().items():
        expected = before.get(name)
        for index in range(len(tasks)):
            if name.startswith(own := OWN.format(index)):
                theirs = name.replace(own, OWN.format(known.get(index)))
                expected = before[theirs] if index in known else fresh[name]
        if name.endswith(OF_DATA):
            expected = fresh[name]
        if name == "world.task.weight":
            rows = enumerate([before[name].mean(dim=0)] * len(tasks))
            expected = torch.stack([before[name][known[i]] if i in known else m for i, m in rows])
        assert expected is not None
        torch.testing.assert_close(tensor, expected, msg=f"{name} of {tasks}")


def on_pixels(method: str, tasks: Sequence[str], level: float) -> Learner:
    """Random in all that it learns; its data say `level`."""
    data = trajectories_of([5, 9], space=SPACES["A"])
    data = replace(data, rewards=data.rewards * level, score=data.score * level)
    told = {"pixel_mean": np.full((84, 84), level), "pixel_std": level, "return_scale": 1.0}
    known = tuple(told | {"trajectories": data} for _ in tasks)
    spec = Spec(tuple(tasks), tuple(SPACES[t] for t in tasks), PIXELS, {}, known, JOINT)
    learner = make(method_config(method, observation="pixels"), spec)
    torch.manual_seed(int(level))
    for each in learner.parameters():
        nn.init.normal_(each)
    for name, each in learner.named_buffers():
        if "codebook" in name:
            each.fill_(level)
    return learner


@pytest.mark.parametrize("method", ["elastic_dt", "multi_game_dt", "jowa_pixels", "multi_task_bc"])
def test_statistics_are_of_the_data_that_are_trained_on(method: str, tmp_path: Path) -> None:
    old, path = on_pixels(method, ("A", "B"), 2.0), tmp_path / "policy.safetensors"
    config = method_config(method, observation="pixels")
    checkpoint.save(path, old, checkpoint.describe(config, 0, 1.0, old.spec))
    learner = on_pixels(method, ("B",), 3.0)
    own = {name: x.clone() for name, x in learner.state_dict().items()}
    checkpoint.begin_with(learner, path)
    statistics = {name for name, _ in learner.named_buffers() if "codebook" not in name}
    assert statistics & own.keys()
    for name, tensor in learner.state_dict().items():
        assert torch.equal(tensor, own[name]) == (name in statistics), name
