"""Train one method on one data set with one seed: a checkpoint and its training curve.
In processes that share every batch: `torchrun --nproc-per-node 2 -m` for `python -m`."""

import sys
from functools import partial
from typing import Annotated

from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.data.trajectories import load
from pipeline.environments import make
from pipeline.hardware import distributed
from pipeline.io.atomic import replacing_folder
from pipeline.language.pretraining import begin_with
from pipeline.stages import Identity, Input, Output, execute
from pipeline.stages._device import Device, SaveEvery
from pipeline.training import checkpoint, loop, resume


def train_policy(
    *,
    method: MethodConfig,
    environment: EnvironmentConfig,
    seed: int,
    observations: Annotated[Input, "embeddings or pixels, as it reads them"],
    language_model: Annotated[Input | None, "layers that the policy begins with"] = None,
    trajectories: Input,
    policy: Annotated[Output, "the last checkpoint"],
    checkpoints: Annotated[Output, "folder of those before it, if the method keeps any"],
    curve: Annotated[Output, "CSV"],
    device: Device = "cpu",
    save_every: SaveEvery = None,
    identity: Identity,
) -> None:
    """Load, train, write."""
    told = load(trajectories), observations, seed, device, partial(begin_with, language_model)
    model, windows, description = loop.prepare(method, make(environment), *told)
    saved = resume.Resumption(policy, identity(), save_every)
    if distributed.rank():  # only the first process writes
        loop.train(model, windows, method.training, seed, saved=saved)
        sys.exit()
    with replacing_folder(checkpoints, resumed=saved.waiting) as folder:
        keep = partial(checkpoint.keep, folder, description)
        rows = loop.train(model, windows, method.training, seed, keep, saved)
        loop.write_curve(curve, rows)
        checkpoint.save(policy, model, description)
        saved.remove()  # last: what goes on from there needs the checkpoints in the new folder


if __name__ == "__main__":
    execute(train_policy)
