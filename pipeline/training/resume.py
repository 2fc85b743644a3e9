"""What a killed training resumes from: a file beside its output, which is no result itself.

It holds the weights, the optimiser's state and progress, and the identity of its training. A file
of other settings, inputs or code is not used. A digest covers all of it: a damaged file is not
used either, and a line says so.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.hardware import distributed
from pipeline.io.atomic import replacing
from pipeline.io.json import parse
from pipeline.io.reading import reading

DESCRIPTION = "resumption"
"""The entry of the file's metadata with identity and progress."""
DIGEST = "sha256"
"""The entry with the digest of that text and of the tensors."""
DAMAGED = (SafetensorError, OSError, RuntimeError, AttributeError, KeyError, TypeError, ValueError)
"""What reading a damaged one raises."""
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
        described = json.dumps({"identity": self._identity, "progress": progress})
        metadata = {DESCRIPTION: described, DIGEST: _digest(described, tensors)}
        with replacing(self._path) as temporary:
            save_file(tensors, temporary, metadata)

    def load(self, model: nn.Module, optimizers: Mapping[str, torch.optim.Optimizer]) -> Any:
        """Put everything back as it was saved; returns the progress, or None where there is none
        of this training. Of a damaged one it prints a line.

        Raises PipelineError where the system does not let it be read.
        """
        try:
            found = self._read()
        except DAMAGED as error:
            if not distributed.rank():
                line = PipelineError(f"{self._path}: damaged ({error}); training starts again")
                print(line, file=sys.stderr)
            return None
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
        try:
            return self._read() is not None
        except DAMAGED:
            return False

    def claim(self) -> bool:
        """Whether a killed training of this identity left something to go on from. What another one
        left goes: it would count for checkpoints beside it that are no longer its own.
        """
        with suppress(*DAMAGED):  # of a damaged one `load` says so
            if self._read() is None:
                self.remove()
        return self.waiting

    def remove(self) -> None:
        """The training has ended: nothing is left to go on from."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, Tensor], Any] | None:
        """Tensors and progress, if there are any of this training; raises one of DAMAGED."""
        try:
            with reading(self._path, opened=True), safe_open(self._path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                described = metadata.get(DESCRIPTION, "")
                if metadata.get(DIGEST) != _digest(described, tensors):
                    raise ValueError("its digest differs")
        except FileNotFoundError:
            return None
        content = parse(described)
        return (tensors, content["progress"]) if content["identity"] == self._identity else None


def _digest(described: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a description, and of names, types, shapes and values of tensors."""
    digest = hashlib.sha256(described.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
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
