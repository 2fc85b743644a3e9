"""The methods of docs/extending.md, as they stand there: they train, go on and act."""

import re
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from policies import RandomStore, acted, batch_of, space_of, spec_of, trajectories_of

from pipeline.config import methods as settings_room
from pipeline.config.schema import MethodConfig
from pipeline.methods import make
from pipeline.observations.windows import Windows
from pipeline.training import loop

TEXT = (Path(__file__).parents[3] / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```python\n# pipeline/(\S+)\.py\n(.*?)```", TEXT, flags=re.DOTALL))
TRAINING = {"steps": 30, "batch_size": 8, "warmup_steps": 3, "learning_rate": 0.003}
OBSERVED = {
    "decision_transformer": "pixels",
    "decision_transformer on states": "states",
}
"""Stores of test data that hold each kind."""


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The documented files, as modules of their names."""
    settings_room.settings_class.cache_clear()
    for place, code in sorted(BLOCKS.items()):  # settings come first
        name = f"pipeline.{place.replace('/', '.')}"
        module = module_from_spec(ModuleSpec(name, None))
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(code, place, "exec"), vars(module))
    names = sorted(place.rpartition("/")[2] for place in BLOCKS)
    monkeypatch.setattr("pipeline.config.plugins.names", lambda room: names)
    yield
    settings_room.settings_class.cache_clear()


def test_nothing_private_is_imported_and_files_are_short() -> None:
    assert set(BLOCKS) == {
        *("methods/recurrent", "methods/advantage_cloning", "config/methods/advantage_cloning"),
    }
    for place, code in BLOCKS.items():
        assert not re.search(r"import .*\b_|\._[a-z]|transformer", code), place
        assert len(code.splitlines()) <= 110, place


@pytest.mark.parametrize("store_of", OBSERVED)
@pytest.mark.parametrize("method", ["recurrent", "advantage_cloning"])
@pytest.mark.usefixtures("added")
def test_the_documented_methods_learn_and_act(method: str, store_of: str) -> None:
    policy = {"observation": OBSERVED[store_of]}
    sections = {"method": method, "policy": policy, "training": TRAINING}
    config = MethodConfig.model_validate(sections)
    data, store = trajectories_of([20, 30, 10], space=space_of(store_of)), RandomStore(store_of, 60)
    torch.manual_seed(0)
    learner = make(config, spec_of(store_of))
    assert learner.settings.ahead == (method == "advantage_cloning")
    windows = Windows(data, store, space_of(store_of), 10.0, learner.settings)
    (row,) = loop.train(learner, windows, config.training, 0)
    assert len(row.train_loss) == (2 if method == "advantage_cloning" else 1)
    assert all(np.isfinite(value) for value in row.columns().values())
    learner.eval()
    batch = batch_of(store_of, 3, 4)
    acts = torch.stack(list(acted(learner, batch)), dim=1)  # (B, steps, …)
    read, _ = learner.read(batch)
    assert read is not None
    torch.testing.assert_close(acts[:, : read.shape[1]], read, atol=1e-5, rtol=1e-5)
