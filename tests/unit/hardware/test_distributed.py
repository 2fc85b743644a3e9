"""Two processes that share every batch, against one that has the whole of it."""

import faulthandler
import os
import socket
import sys
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import pytest
import torch
from policies import SPACE, RandomStore, method_config, spec_of, trajectories_of
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from pipeline.errors import PipelineError
from pipeline.hardware import distributed
from pipeline.methods import make
from pipeline.observations.windows import Windows
from pipeline.training import loop
from pipeline.training.curve import write_curve
from pipeline.training.loop import train
from pipeline.training.resume import Resumption, tensors_of

TRAINING = {"steps": 12, "batch_size": 8, "warmup_steps": 3, "evaluate_every": 4}
LONGEST = 120
"""Seconds after which processes that wait for each other are ended, and say where they are."""
LEARNED = [
    ("more3s", {}),
    ("more3s", {"return_conditioning": "token"}),
    ("more3s", {"action_readout": "nearest_prompt"}),  # some weights have no gradient
    ("behaviour_cloning", {}),
]


def trained(
    folder: Path, method: str, policy: dict[str, Any], saved: Resumption | None = None
) -> None:
    """Train, and leave weights and curve in `folder`."""
    config = method_config(method, TRAINING, **policy)
    data, store = trajectories_of([20, 3, 30, 2, 10]), RandomStore(method, 65)
    torch.manual_seed(1)
    model = make(config, spec_of(method, store.attributes))
    windows = Windows(data, store, SPACE, 10.0, model.settings)
    curve = train(model, windows, config.training, 1, saved=saved)
    save_file(tensors_of(model), folder / f"{distributed.rank()}.safetensors")
    write_curve(folder / f"{distributed.rank()}.csv", curve)


def in_two_processes(folder: Path, *arguments: Any, dies_after: int | None = None) -> list[int]:
    """Call `trained` in two forks, as torchrun would; returns their exit statuses."""
    torch.set_num_threads(1)  # threads do not survive a fork
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    forks = []
    for rank in range(2):
        fork = os.fork()
        if fork:
            forks.append(fork)
            continue
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
        os.environ.update(**place, RANK=str(rank), GLOO_SOCKET_IFNAME="lo")
        tqdm.set_lock(RLock())  # the usual one is shared by forks
        faulthandler.dump_traceback_later(LONGEST, exit=True)
        if dies_after is not None:
            _die_after(dies_after)
        try:
            trained(folder, *arguments)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return [os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) for fork in forks]


def _die_after(steps: int) -> None:
    drawn, calls = loop.sample_ends, iter(range(1000))

    def draw(*arguments: Any) -> Any:
        if next(calls) == steps:
            os._exit(9)
        return drawn(*arguments)

    loop.sample_ends = draw


@pytest.mark.parametrize(("method", "policy"), LEARNED)
def test_two_processes_learn_what_one_does(
    method: str, policy: dict[str, Any], tmp_path: Path
) -> None:
    """Episodes of two steps are padded, so the shares of a batch differ in real steps."""
    policy = {**policy, "dropout": 0.0}  # of which each process draws its own
    (tmp_path / "one").mkdir()
    trained(tmp_path / "one", method, policy)
    assert in_two_processes(tmp_path / "two", method, policy) == [0, 0]
    one = load_file(tmp_path / "one" / "0.safetensors")
    first, second = (load_file(tmp_path / "two" / f"{rank}.safetensors") for rank in range(2))
    for name, tensor in one.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], tensor, rtol=0, atol=1e-5, msg=name)
    curves = [
        np.genfromtxt(tmp_path / name, delimiter=",", skip_header=1)
        for name in ("one/0.csv", "two/0.csv", "two/1.csv")
    ]
    np.testing.assert_allclose(curves[1], curves[0], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(curves[1], curves[2])


def test_two_killed_processes_end_with_the_same_bytes(tmp_path: Path) -> None:
    """With dropout, of which each process has its own stream, saved with the rest."""
    job = ("more3s", {"history_dropout": 0.5})
    assert in_two_processes(tmp_path / "whole", *job) == [0, 0]
    saved = Resumption(tmp_path / "policy", "this one", every=5)
    assert in_two_processes(tmp_path / "killed", *job, saved, dies_after=7) == [9, 9]
    assert saved.waiting
    assert in_two_processes(tmp_path / "killed", *job, saved) == [0, 0]
    for name in ("0.safetensors", "1.safetensors", "0.csv"):
        whole, resumed = (tmp_path / each / name for each in ("whole", "killed"))
        assert whole.read_bytes() == resumed.read_bytes(), name


def test_a_batch_that_cannot_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(PipelineError, match="8 cannot be shared by 3 processes"):
        distributed.share(8)
