"""What is measured on held-out windows, against plain loops."""

from typing import Any

import numpy as np
import pytest
import torch
from policies import SPACE, TORQUES, batch_of, logits_of, padded, policy_of
from torch import Tensor

from pipeline.training.held_out_metrics import ACCURACIES, ERRORS, HeldOut, constant_action


def measured(method: str, constant: Tensor) -> tuple[dict[str, float], list[Any]]:
    """The columns, and per real step (read, a_t, a_{t-1})."""
    policy = policy_of(method)
    batches = [
        padded(batch_of(method, 2, 3, seed=seed), count, 1) for seed, count in ((1, 2), (2, 0))
    ]
    steps = []
    for batch in batches:
        read, real = logits_of(policy, batch), batch.mask
        parts = (read, batch.actions, batch.previous_actions)
        steps += list(zip(*(part[real] for part in parts), strict=True))
    return HeldOut(batches, constant).measure(policy, "float32"), steps


def test_errors_of_continuous_actions() -> None:
    mean = torch.tensor([0.25, -0.5])
    columns, steps = measured("decision_transformer on states", mean)
    assert list(columns) == ["held_out_loss", *ERRORS]
    assert len(steps) == 12
    for name, guess in (
        ("held_out_mse", lambda read, previous: read),
        ("mean_action_mse", lambda read, previous: mean),
        ("repeat_mse", lambda read, previous: previous),
    ):
        squares = [float(((guess(r, p) - a) ** 2).mean()) for r, a, p in steps]
        assert columns[name] == pytest.approx(np.mean(squares), rel=1e-5)
    assert columns["held_out_loss"] == pytest.approx(columns["held_out_mse"], rel=1e-5)


def test_accuracies_of_discrete_actions() -> None:
    columns, steps = measured("behaviour_cloning", torch.tensor(1))
    assert list(columns) == ["held_out_loss", *ACCURACIES]
    right = [int(read.argmax()) == int(a) for read, a, _ in steps]
    changed = [int(a) != int(previous) for _, a, previous in steps]
    assert columns["held_out_accuracy"] == pytest.approx(np.mean(right))
    on_change = np.array(right)[np.array(changed)].mean()
    assert columns["held_out_accuracy_on_change"] == pytest.approx(on_change)
    majority = np.mean([int(a) == 1 for _, a, _ in steps])
    assert columns["majority_accuracy"] == pytest.approx(majority)
    assert columns["repeat_accuracy"] == pytest.approx(1 - np.mean(changed))


def test_the_constant_action_is_the_most_frequent_or_the_mean_one() -> None:
    assert constant_action(SPACE, np.array([2, 0, 2, 1])) == 2
    torques = np.array([[0.5, 1], [-0.5, 2]], np.float32)
    torch.testing.assert_close(constant_action(TORQUES, torques), torch.tensor([0.0, 1.5]))
