"""Updates per second at the sizes of `config/paper.yaml` on random data of the right shapes, beside
a floor: the operations of one update, counted, at the rate of one large matrix product in the same
precision.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks import _floor, _timing
from benchmarks._outcome import NOT_MEASURED, Item, Outcome, in_one_line, number
from benchmarks._random_data import Sizes, built
from benchmarks._stages import ROOT
from pipeline.config.experiment import Config
from pipeline.config.load import load
from pipeline.config.schema import MethodConfig, Placing, Precision
from pipeline.hardware import devices
from pipeline.methods import Learner
from pipeline.nn.transformer import Transformer
from pipeline.observations.batch import Batch
from pipeline.observations.windows import Windows
from pipeline.training import loop

DATASET = "breakout_dqn_replay"
METHODS = ("decision_transformer", "more3s")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


class OneBatch(Windows):
    """Windows that are drawn once, so that an update is measured and not the reading of data."""

    @cached_property
    def _drawn(self) -> dict[int, Batch]:
        return {}

    def placed(self, drawn: NDArray[np.int64], placing: Placing) -> Batch:
        """The batch of the first call."""
        if not self._drawn:
            self._drawn[0] = super().placed(drawn, placing)
        return self._drawn[0]


class Operations(TorchDispatchMode):
    """Counts floating-point operations. torch's own FlopCounterMode also asks which module each is
    of, and fails where a module runs without gradients, as the memory does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func.overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


@dataclass
class Timings:
    """The rows of one device."""

    device: str
    steps: int
    """Updates per repeat."""
    repeats: int = 1
    batch: int | None = None
    """Windows of a batch, if not those of paper.yaml."""
    context: int | None = None
    """Steps of a context, likewise."""
    side: int = _floor.SIDE
    """Of the matrices whose product gives the floor."""
    compiled: tuple[tuple[str, Precision], ...] = tuple((m, p) for m in METHODS for p in PRECISIONS)
    """Methods and precisions whose transformer is compiled too."""
    _known: dict[str, float] = field(default_factory=dict)

    def items(self, methods: Collection[str]) -> Iterator[Item]:
        """Every row of those of METHODS that are asked for, to be measured."""
        for method in (each for each in METHODS if each in methods):
            plain = f"updates per s, {method}"
            for precision in PRECISIONS:
                name = f"{plain}, {precision}"
                yield Item(name, partial(self.timed, method, precision))
                if (method, precision) in self.compiled:
                    measure = partial(self.compiled_or_not, method, precision)
                    yield Item(f"{name}, compiled", measure)
            read = partial(self.timed, method, "float32", reading=True)
            yield Item(f"{plain}, float32, with the reading of batches", read)

    def compiled_or_not(self, method: str, precision: Precision) -> Outcome:
        """As `timed`; where it cannot be compiled the row says why."""
        torch.compiler.reset()
        try:
            return self.timed(method, precision, compiled=True)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            return Outcome(f"not compiled: {in_one_line(error)}", verdict=NOT_MEASURED)

    def timed(
        self, method: str, precision: Precision, compiled: bool = False, reading: bool = False
    ) -> Outcome:
        """The row of one method, with the transformer's blocks compiled or not."""
        config = self.config(method, precision)
        learner, windows = self.built(config)
        if compiled:
            compile_blocks(learner)
        if not reading:
            windows = OneBatch(*(getattr(windows, each.name) for each in fields(Windows)))

        def run() -> None:
            loop.train(learner, windows, config.training, seed=0)
            if self.device != "cpu":
                torch.cuda.synchronize()

        seconds = _timing.medians({"": run}, self.repeats)[""] / self.steps
        if precision == "bfloat16" and not devices.multiplies_bfloat16(self.device):
            return Outcome(number(1 / seconds), verdict="bfloat16 is imitated here")
        floor = self._operations(method) / self._rate(precision)
        return Outcome(
            number(1 / seconds), number(1 / floor), f"{floor / seconds:.0%} of the floor"
        )

    def config(self, method: str, precision: Precision) -> MethodConfig:
        """Of paper.yaml, with so few updates; the transformer begins with random layers."""
        chosen = paper().method(method, dataset=DATASET)
        context = self.context or chosen.policy.context_length
        policy: dict[str, object] = {"context_length": context, "initial_weights": "random"}
        if hasattr(chosen.policy, "memory_length"):
            policy["memory_length"] = context
        training = {
            "steps": self.steps,
            "batch_size": self.batch or chosen.training.batch_size,
            "precision": precision,
            "checkpoint_every": None,
        }
        return chosen.model_copy(
            update={
                "policy": chosen.policy.model_copy(update=policy),
                "training": chosen.training.model_copy(update=training),
            }
        )

    def built(self, config: MethodConfig) -> tuple[Learner, Windows]:
        """The learner and random windows of the full LXMERT's shapes."""
        features = paper().features[config.features]
        sizes = Sizes(
            features.encoder.text_tokens, features.detector.regions, features.encoder.width
        )
        return built(config, sizes, self.device)

    def _operations(self, method: str) -> float:
        """Floating-point operations of one update."""
        if method not in self._known:
            config = self.config(method, "float32")
            once = config.training.model_copy(update={"steps": 1})
            learner, windows = self.built(config)
            with Operations() as counter:
                loop.train(learner, windows, once, seed=0)
            self._known[method] = counter.total
        return self._known[method]

    def _rate(self, precision: Precision) -> float:
        """Of a large matrix product."""
        if precision not in self._known:
            device, dtype = torch.device(self.device), getattr(torch, precision)
            self._known[precision] = _floor.matrix_rate(device, dtype, self.side)
        return self._known[precision]


@cache
def paper() -> Config:
    """config/paper.yaml."""
    return load(ROOT / "config" / "paper.yaml")


def compile_blocks(learner: Learner) -> None:
    """Compile every block of the learner's transformer, in place."""
    for module in learner.modules():
        if isinstance(module, Transformer):
            for block in module.blocks:
                block.compile(dynamic=False)
