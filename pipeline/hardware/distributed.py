"""Training in several processes, as `torchrun` starts them. Each takes its share of every batch,
and together they take the step that one process would take on the whole batch.

One process is the usual case, in which nothing here does anything. Sums over real steps are
divided by their number in all shares. So the processes' mean gradient is the whole batch's,
however padding is spread (Li et al. 2020, PyTorch Distributed).
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed

from pipeline.errors import PipelineError


def processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int:
    """How many of them are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is; the first writes what there is to write."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def together(device: str) -> Iterator[None]:
    """Inside the block the processes can talk to each other."""
    if processes() == 1:
        yield
        return
    # gloo carries what is not on the cards, such as the generators that a saved training holds
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    try:
        yield
        distributed.barrier()  # none leaves while another still listens to it
    finally:
        distributed.destroy_process_group()


def share(count: int) -> slice:
    """This process's part of a batch of `count`; PipelineError if it cannot be shared evenly."""
    if count % processes():
        raise PipelineError(
            f"training.batch_size: {count} cannot be shared by {processes()} processes; "
            "make it a multiple"
        )
    size = count // processes()
    return slice(rank() * size, (rank() + 1) * size)


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Make the gradients of `parameters` the processes' mean; the same ones have any in each."""
    if not _joined():
        return
    gradients = [each.grad for each in parameters if each.grad is not None]
    if gradients:
        flat = torch.cat([gradient.flatten() for gradient in gradients])  # one message for all
        parts = torch.split(mean(flat), [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def mean(values: Tensor) -> Tensor:
    """The mean of `values` (…) over the processes."""
    if not _joined():
        return values
    total = values.detach().clone()
    distributed.all_reduce(total)
    return total / processes()


def of_first(values: Tensor) -> Tensor:
    """`values` (…), on the processor, of the first process."""
    if _joined():
        distributed.broadcast(values, 0)
    return values


def gathered(values: Tensor) -> Tensor:
    """`values` (…) of every process, (processes, …)."""
    if not _joined():
        return values[None]
    parts = [torch.empty_like(values) for _ in range(processes())]
    distributed.all_gather(parts, values)
    return torch.stack(parts)


def _joined() -> bool:
    return processes() > 1 and distributed.is_initialized()
