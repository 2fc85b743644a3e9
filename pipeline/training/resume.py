"""What a killed training goes on from: a file beside its output that is no result itself.

It holds the weights, the optimiser's state and progress, and says which training it is of; one of
other settings, inputs or code is not gone on with.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline.hardware import distributed
from pipeline.io.atomic import replacing

DESCRIPTION = "resumption"
"""The entry of the file's metadata with identity and progress."""
HELP = "save so often, to go on from there after a kill (default: at each row of the curve)"
GENERATOR = "generator"
MODEL, OPTIMIZER = "model.", "optimizer."


class Resumption:
    """Saves a training now and then, and finds it again after a kill."""

    def __init__(self, output: Path, identity: str, every: int | None = None) -> None:
        """`identity` says all that the training depends on.

        It is saved after `every` so many steps, by default at each row of its curve.
        """
        self._path = output.with_name(f".{output.name}.resume")
        self._identity = identity
        self._every = every

    def due(self, step: int, at_row: bool) -> bool:
        """Whether to save after `step` updates, where the curve has a new row or not."""
        return at_row if self._every is None else step % self._every == 0

    def save(
        self,
        model: nn.Module,
        optimizers: Mapping[str, torch.optim.Optimizer],
        progress: Mapping[str, Any],
    ) -> None:
        """Save all that the next step depends on, torch's generator included, whole or not at all.

        `progress` is JSON. Processes that train together all call this; the first one writes.
        """
        generators = distributed.gathered(torch.get_rng_state())
        if distributed.rank():
            return
        tensors = {f"{MODEL}{name}": tensor for name, tensor in tensors_of(model).items()}
        for which, optimizer in optimizers.items():
            for index, state in optimizer.state_dict()["state"].items():
                place = f"{OPTIMIZER}{which}.{index}"
                tensors |= {f"{place}.{name}": value for name, value in state.items()}
        tensors[GENERATOR] = generators
        content = {"identity": self._identity, "sha256": _digest(tensors), "progress": progress}
        described = json.dumps(content)
        with replacing(self._path) as temporary:
            save_file(tensors, temporary, {DESCRIPTION: described})

    def load(self, model: nn.Module, optimizers: Mapping[str, torch.optim.Optimizer]) -> Any:
        """Put everything back as it was saved; returns the progress, or None where there is none
        of this training.
        """
        found = self._read()
        if found is None:
            return None
        tensors, progress = found
        model.load_state_dict(_part(tensors, MODEL))
        for which, optimizer in optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in _part(tensors, f"{OPTIMIZER}{which}.").items():
                index, _, key = name.partition(".")
                state.setdefault(int(index), {})[key] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        torch.set_rng_state(tensors[GENERATOR][distributed.rank()].clone())
        return progress

    @property
    def waiting(self) -> bool:
        """Whether a killed training of this identity left something to go on from."""
        return self._read() is not None

    def remove(self) -> None:
        """The training has ended: nothing is left to go on from."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, Tensor], Any] | None:
        try:
            with safe_open(self._path, "pt") as file:
                described = json.loads((file.metadata() or {})[DESCRIPTION])
                if described["identity"] != self._identity:
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                if described["sha256"] != _digest(tensors):
                    return None
                return tensors, described["progress"]
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None  # none, not one of ours, or damaged


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        flat = tensors[name].detach().cpu().reshape(-1)
        digest.update(name.encode() + flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """A module's weights as safetensors takes them."""
    return {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
