import copy
import csv
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_same_weights, killed
from numpy.typing import NDArray
from policies import SPACE, TEXT, TORQUES, RandomStore, method_config, spec_of, trajectories_of
from torch import Tensor, nn

from pipeline.config.schema import TrainingConfig
from pipeline.errors import PipelineError
from pipeline.methods import make
from pipeline.observations.windows import Windows
from pipeline.training import checkpoint
from pipeline.training.curve import CurveRow, write_curve
from pipeline.training.held_out_metrics import ACCURACIES, draw_held_out
from pipeline.training.loop import train
from pipeline.training.optimizer import Optimizer, learning_rate
from pipeline.training.resume import Resumption

TRAINING = {"steps": 20, "batch_size": 8, "warmup_steps": 3, "evaluate_every": 5}


def trained(
    seed: int, keep: Callable[[int, Any], None] = lambda step, policy: None, **training: Any
) -> tuple[Any, list[CurveRow]]:
    config = method_config("more3s", {**TRAINING, **training})
    data = trajectories_of([20, 30, 10])
    store = RandomStore("more3s", 60)
    torch.manual_seed(seed)
    policy = make(config, spec_of("more3s", store.attributes))
    windows = Windows(data, store, SPACE, 10.0, policy.settings)
    return policy, train(policy, windows, config.training, seed, keep)


def test_the_same_seed_gives_the_same_curve_and_weights() -> None:
    (first, curve), (second, again), (_, other) = trained(1), trained(1), trained(2)
    assert [row.step for row in curve] == [5, 10, 15, 20]
    assert curve == again
    assert curve != other
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])


def test_starts_of_episodes_are_drawn_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, ends = Windows.batch, []

    def watched(windows: Windows, drawn: NDArray[np.int64]) -> Any:
        ends.extend(drawn.tolist())
        return batch(windows, drawn)

    def at_start(**settings: Any) -> float:
        ends.clear()
        trained(1, held_out_fraction=0, start_steps=2, **settings)
        return float(np.isin(ends, [0, 1, 20, 21, 50, 51]).mean())

    monkeypatch.setattr(Windows, "batch", watched)
    assert at_start() < 0.3  # of 60 steps, 6: a tenth
    assert at_start(start_weight=100) > 0.7  # 600 of 654


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    config = method_config("more3s", TRAINING)
    store = RandomStore("more3s", 60)
    policy = make(config, spec_of("more3s", store.attributes))
    windows = Windows(trajectories_of([60]), store, SPACE, 1.0, policy.settings)
    torch.manual_seed(5)
    train(policy, windows, config.training, 0)
    assert torch.equal(torch.rand(1), expected)


def test_bfloat16_trains_too() -> None:
    _, curve = trained(1, precision="bfloat16")
    assert all(math.isfinite(row.train_loss["policy"]) for row in curve)


def test_baselines_and_held_out_columns() -> None:
    _, curve = trained(1)
    last = curve[-1]
    assert list(last.held_out) == ["held_out_loss", *ACCURACIES]
    for name in ACCURACIES:
        assert 0 <= last.held_out[name] <= 1
    _, curve = trained(1, held_out_fraction=0.0)
    assert math.isnan(curve[-1].held_out["held_out_accuracy"])


def test_a_loss_that_is_not_finite_names_the_step() -> None:
    with pytest.raises(PipelineError, match=r"at step [0-9]+"):
        trained(1, learning_rate=1e30, warmup_steps=0, gradient_clip=1e30)


def test_nan_in_the_data_names_the_batch_and_keeps_what_was_saved(tmp_path: Path) -> None:
    config = method_config("more3s", {**TRAINING, "batch_size": 2})
    data, store = trajectories_of([60]), RandomStore("more3s", 60)
    store.observation["tokens"][0, 33] = math.nan
    torch.manual_seed(1)
    policy = make(config, spec_of("more3s", store.attributes))
    windows = Windows(data, store, SPACE, 10.0, policy.settings)
    saved = Resumption(tmp_path / "policy", "this one", every=1)
    with pytest.raises(PipelineError) as error:
        train(policy, windows, config.training, 1, saved=saved)
    found = re.search(r"at step (\d+), in the batch .* steps (\d+), (\d+);", str(error.value))
    assert found is not None
    step, *ends = (int(number) for number in found.groups())
    length = policy.settings.memory + policy.settings.context_length
    assert any(33 <= end < 33 + length for end in ends)
    optimizer = Optimizer(policy, config.training).adamw
    assert step > 0
    everything = nn.ModuleDict({"learner": policy})
    assert saved.load(everything, {"policy": optimizer})["step"] == step  # the updates before it
    assert all(tensor.isfinite().all() for tensor in policy.state_dict().values())


def test_the_rate_warms_up_and_decays_to_its_final_fraction() -> None:
    settings = TrainingConfig(steps=100, warmup_steps=10, final_learning_rate=0.1)
    rates = [learning_rate(step, 100, settings, 1.0) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[100] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_rate_of_a_phase_runs_its_whole_course_in_it() -> None:
    settings = TrainingConfig(steps=30, warmup_steps=2, learning_rate=0.5, final_learning_rate=0.1)
    alone = Optimizer(nn.Linear(2, 2), settings.model_copy(update={"steps": 20}))
    later = Optimizer(nn.Linear(2, 2), settings, "prior", range(10, 30))
    assert [later.rate(step) for step in range(10)] == [0.0] * 10
    assert [later.rate(step) for step in range(10, 30)] == [alone.rate(step) for step in range(20)]
    assert later.rate(29) < 0.06


def test_only_matrices_decay() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    decayed, plain = Optimizer(module, TrainingConfig()).adamw.param_groups
    assert [tuple(p.shape) for p in decayed["params"]] == [(3, 3)]
    assert plain["weight_decay"] == 0
    assert len(plain["params"]) == 3


def test_the_curve_is_written_as_csv(tmp_path: Path) -> None:
    path = tmp_path / "run" / "curve.csv"
    held_out = dict.fromkeys(("held_out_loss", *ACCURACIES), 0.5)
    write_curve(path, [CurveRow(5, {"policy": 1.5}, {"policy": 0.1}, held_out)])
    with path.open() as file:
        (row,) = csv.DictReader(file)
    assert list(row) == [
        *("step", "train_loss", "learning_rate", "held_out_loss", "held_out_accuracy"),
        *("held_out_accuracy_on_change", "majority_accuracy", "repeat_accuracy"),
    ]
    assert row["train_loss"] == "1.5"
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    config = method_config("more3s")
    attributes = {
        "text_tokens": TEXT,
        "action_embeddings": np.ones((SPACE.size, 16)),
        "weights": "lxmert random",
    }
    spec = spec_of("more3s", attributes)
    policy = make(config, spec)
    path = tmp_path / "policy.safetensors"
    description = checkpoint.describe(config, 3, 12.5, spec)
    checkpoint.save(path, policy, description)
    loaded, described = checkpoint.load(path, config)
    assert described == description
    assert described.weights == "lxmert random; policy trained here"
    for name, tensor in policy.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    config = method_config("more3s")
    store = RandomStore("more3s", 1)
    path = tmp_path / "policy.safetensors"
    policy = make(config, spec_of("more3s", store.attributes))
    description = checkpoint.describe(config, 3, 1.0, spec_of("more3s", store.attributes))
    checkpoint.save(path, policy, description)
    with pytest.raises(PipelineError, match=r"policy.safetensors.*policy\.layers: 2, not 1"):
        checkpoint.load(path, method_config("more3s", layers=1))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(PipelineError, match=r"policy\.safetensors.*not a checkpoint"):
        checkpoint.load(path, config)
    with pytest.raises(PipelineError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "missing", config)


def test_how_a_checkpoint_plays_may_have_changed_since(tmp_path: Path) -> None:
    config = method_config("more3s")
    spec = spec_of("more3s", RandomStore("more3s", 1).attributes)
    before = checkpoint.describe(config, 3, 1.0, spec)
    del before.method["policy"]["planner"]["temperature"]
    before.method["policy"]["planner"]["beams"] = 5
    path = tmp_path / "policy.safetensors"
    checkpoint.save(path, make(config, spec), before)
    loaded, _ = checkpoint.load(path, config)
    assert loaded.settings.planner.beams == 2


def test_what_is_compared_with_is_where_the_windows_are() -> None:
    """`meta` stands for a graphics card."""
    vectors = replace(trajectories_of([20, 30]), actions=np.zeros((50, 2), np.float32))
    store = RandomStore("more3s", 50)
    config = method_config("more3s", {**TRAINING, "held_out_fraction": 0.5})
    windows = Windows(vectors, store, TORQUES, 10.0, config.policy, "meta")
    held_out = draw_held_out(windows, config.training, seed=0)
    assert held_out.constant.device.type == held_out.batches[0].actions.device.type == "meta"


def test_checkpoints_are_kept_on_the_way() -> None:
    kept: list[int] = []
    _, curve = trained(1, lambda step, _: kept.append(step), checkpoint_every=10)
    assert kept == [10]  # the last one is the result itself
    _, usual = trained(1)
    assert curve == usual


def test_the_average_of_the_weights_is_kept_and_played() -> None:
    """Against the average written out, over a training that keeps its weights at each update."""

    def course(decay: float) -> tuple[list[dict[str, Tensor]], list[CurveRow]]:
        kept: list[dict[str, Tensor]] = []

        def keep(_: int, played: Any) -> None:
            kept.append(copy.deepcopy(played.state_dict()))

        policy, curve = trained(1, keep, checkpoint_every=1, weight_average=decay)
        return [*kept, policy.state_dict()], curve

    last, without = course(0.0)
    averages, curve = course(0.75)
    expected = last[0]
    for weights, average in zip(last, averages, strict=True):
        expected = {name: 0.75 * expected[name] + 0.25 * weights[name] for name in weights}
        for name, value in average.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)
    assert [row.train_loss for row in curve] == [row.train_loss for row in without]
    assert curve[-1].held_out != without[-1].held_out


def test_checkpoints_are_found_by_their_step(tmp_path: Path) -> None:
    for step in (500, 20, 1_000_000):
        (tmp_path / checkpoint.name(step)).touch()
    (tmp_path / "other").touch()
    assert list(checkpoint.steps(tmp_path)) == [20, 500, 1_000_000]


@pytest.mark.parametrize("killed_after", [2, 5, 13, 19])
def test_a_killed_training_ends_with_the_same_weights(
    killed_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is hidden or dropped is drawn by torch, windows by a generator of their own."""
    hidden = {"history_dropout": 0.5, "region_dropout": 0.5}
    settings = {**TRAINING, "checkpoint_every": 5, "weight_average": 0.5}
    config = method_config("more3s", settings, **hidden)

    def attempt(saved: Resumption | None, kept: list[int]) -> tuple[Any, list[CurveRow]]:
        data, store = trajectories_of([20, 30, 10]), RandomStore("more3s", 60)
        torch.manual_seed(1)
        policy = make(config, spec_of("more3s", store.attributes))
        windows = Windows(data, store, SPACE, 10.0, policy.settings)

        def keep(step: int, _: Any) -> None:
            kept.append(step)

        return policy, train(policy, windows, config.training, 1, keep, saved)

    expected, curve = attempt(None, [])
    saved = Resumption(tmp_path / "policy", "this one")
    kept: list[int] = []
    with killed(monkeypatch, killed_after):
        attempt(saved, kept)
    assert saved.waiting == (killed_after >= 5)
    resumed, again = attempt(saved, kept)
    assert again == curve
    assert kept == [5, 10, 15]  # each once: what was kept before the kill is not made again
    assert_same_weights(expected, resumed)


def test_a_training_of_another_identity_is_not_gone_on_with(tmp_path: Path) -> None:
    policy, _ = trained(1)
    optimizer = {"policy": Optimizer(policy, TrainingConfig()).adamw}
    ours, other = (Resumption(tmp_path / "policy", name) for name in ("ours", "other"))
    assert ours.load(policy, optimizer) is None
    ours.save(policy, optimizer, {"rows": []})
    assert ours.claim()
    assert not other.waiting
    assert other.load(policy, optimizer) is None
    assert ours.waiting
    assert not other.claim()  # which begins anew, in the folder of checkpoints as well
    assert not ours.waiting
    ours.save(policy, optimizer, {"rows": []})
    path = tmp_path / ".policy.resume"
    path.write_bytes(path.read_bytes()[:-10])
    assert not ours.claim()
    assert path.exists()  # a damaged one, of which `load` says so
    ours.remove()
    assert not path.exists()
