"""Train a method on a data set; under `torchrun --nproc-per-node 2 -m`, in several processes."""

import sys
from functools import partial
from typing import Annotated

from pipeline.config.schema import MethodConfig
from pipeline.hardware import distributed
from pipeline.io.atomic import replacing_folder
from pipeline.language.pretraining import begin_with
from pipeline.stages import Identity, Input, Lower, Output, execute
from pipeline.stages._device import MEMORY_MB, CacheMemory, Device, SaveEvery
from pipeline.stages._recorded import Recorded
from pipeline.training import checkpoint, loop, preparation
from pipeline.training.curve import write_curve
from pipeline.training.resume import Resumption


def train_policy(
    *,
    method: Annotated[MethodConfig, Lower("training.batch_size")],
    recorded: Recorded,
    seed: int,
    language_model: Annotated[Input | None, "layers that the policy begins with"] = None,
    first_policy: Annotated[Input | None, "policy that this one begins with"] = None,
    policy: Annotated[Output, "the last checkpoint"],
    checkpoints: Annotated[Output, "folder of those before it, if the method keeps any"],
    curve: Annotated[Output, "CSV"],
    device: Device = "cpu",
    save_every: SaveEvery = None,
    cache_memory_mb: CacheMemory = MEMORY_MB,
    identity: Identity,
) -> None:
    """Load, train, write."""
    told = recorded.load(), seed, device, partial(begin_with, language_model)
    prepared = preparation.prepare(method, *told, recorded.task, first_policy, cache_memory_mb)
    learner, windows, description = prepared
    saved = Resumption(policy, identity(), save_every)
    if distributed.rank():  # only the first process writes
        loop.train(learner, windows, method.training, seed, saved=saved)
        sys.exit()
    with replacing_folder(checkpoints, resumed=saved.claim()) as folder:
        keep = partial(checkpoint.keep, folder, description)
        write_curve(curve, loop.train(learner, windows, method.training, seed, keep, saved))
        checkpoint.save(policy, learner, description)
        saved.remove()  # last: what goes on from there needs the checkpoints in the new folder


if __name__ == "__main__":
    execute(train_policy)
