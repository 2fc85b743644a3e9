"""Curves as TensorBoard reads them back."""

import sys
from pathlib import Path

import pytest

from more3s.command import command


def test_a_curve_is_read_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "runs" / "pong" / "seed-0"
    run.mkdir(parents=True)
    (run / "curve.csv").write_text("step,train_loss,held_out_loss\n10,2.5,\n20,1.5,3\n")
    command(["tensorboard", str(tmp_path / "runs"), str(tmp_path / "events")])
    events = EventAccumulator(str(tmp_path / "events" / "pong" / "seed-0"))
    events.Reload()
    read = {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }
    assert read == {"train_loss": [(10, 2.5), (20, 1.5)], "held_out_loss": [(20, 3)]}


def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SystemExit, match="tensorboard: not installed; run pip install"):
        command(["tensorboard", str(tmp_path), str(tmp_path / "events")])
