"""Where stage one computes, and how exactly: the CPU, or a GPU that is really there."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from pipeline.config import Precision
from pipeline.errors import PipelineError


def choose(name: str) -> torch.device:
    """The device `name` (cpu or cuda); raises PipelineError where it is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for CPUs only"
        raise PipelineError(
            f"device cuda: no GPU is found here (torch {torch.__version__} is built {build}); "
            "run where there is one, install a GPU build of torch, or set `device: cpu`"
        )
    return torch.device(name)


@contextmanager
def mixed_precision(precision: Precision) -> Iterator[None]:
    """Matrix products and convolutions in `precision`, wherever they run; the rest in float32."""
    with ExitStack() as stack:
        if precision != "float32":
            for kind in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
                stack.enter_context(torch.autocast(kind, getattr(torch, precision)))
        yield
