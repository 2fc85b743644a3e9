"""The acting step of a policy as a file, for programs that have no part of this package.

    more3s export results/bundles/breakout/more3s step.onnx

One call is one step of any number of episodes, each at a timestep of its own. What a sequence model
remembers, the keys and values of its transformer, is an input and an output of the step. The memory
has a fixed number of places, the last of which is the newest token's; the timestep tells which of
them are taken. Every step therefore has the same shapes, at an episode's start too.

What is exported is the learner's own `act`. Only its transformer is replaced by one that keeps such
a memory, and training knows nothing of it.
"""

import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline.errors import PipelineError
from pipeline.io.atomic import replacing
from pipeline.methods import ActingState, Learner, Moment, Stateless
from pipeline.nn.kv_cache import KeyValue, KVCache, Positions, TransformerState
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.transformer import Transformer

KINDS = (".onnx", ".pt2")
"""Kinds of file: ONNX, and that of `torch.export.load`."""
MEMORY = ("keys", "values")
EPISODES = "episodes"
"""The name of their axis."""
TOLD = "step.json"
"""What is told of a step: a file inside a `.pt2`. In ONNX each entry is one of the metadata."""
TYPES = {"frames": torch.uint8, "mask": torch.bool, "tokens": torch.float16}
"""Of tensors of an observation, where they are not float32."""


@dataclass(frozen=True)
class Memory:
    """The state that `act` is given: what its transformer remembers in a fixed number of places."""

    step: int
    """A number as good as any that is not small: positions count relative to each other only."""
    timestep: Tensor
    """(episodes,) int64: how many steps are remembered, at most."""
    keys: Tensor
    """(layers, episodes, heads, places, width / heads)."""
    values: Tensor


class RememberingTransformer(nn.Module):
    """Stands in for a learner's `Transformer`, with a memory of fixed size."""

    def __init__(self, transformer: Transformer, tokens_per_step: int) -> None:
        super().__init__()
        assert transformer.attention_span is not None  # every policy forgets
        self.transformer, self.tokens_per_step = transformer, tokens_per_step
        self.span = transformer.attention_span
        # The first new token may be the action of the step before. It sees as many steps before its
        # own as any other, and the rest of its own.
        self.places = max(1, (self.span + 1) * tokens_per_step - 1)

    def start(self) -> dict[str, Tensor]:
        """The memory of one episode that has seen nothing; what it holds is not looked at."""
        shape = self.transformer.shape
        size = shape.layers, 1, shape.heads, self.places, shape.width // shape.heads
        return {name: torch.zeros(size) for name in MEMORY}

    def remembered(self, timestep: Tensor, keys: Tensor, values: Tensor) -> Memory:
        """The state for episodes at `timestep`."""
        return Memory(self.span + 2, timestep, keys, values)

    def decode_step(
        self, x: Tensor, positions: Positions, state: Memory, returns: Tensor | None = None
    ) -> tuple[Tensor, Memory]:
        """As that of `Transformer`. Tokens of steps before the episode's first are padding: the
        places that nothing was written to, and the action before the first observation.
        """
        order = positions.order[:1] + torch.arange(-self.places, 0)
        earlier = Positions(order, order // self.tokens_per_step)
        layers = tuple(map(KeyValue, state.keys, state.values))
        past = KVCache(layers, earlier, self._real(earlier, state))
        real = self._real(positions, state)
        hidden, own = self.transformer(x, positions, real, returns, past)
        keys, values = (
            torch.cat((old, torch.stack(new)), dim=3)[:, :, :, -self.places :]
            for old, new in zip(
                (state.keys, state.values), zip(*own.layers, strict=True), strict=True
            )
        )
        return hidden[:, -1], replace(state, keys=keys, values=values)

    @staticmethod
    def _real(positions: Positions, state: Memory) -> Tensor:
        """(episodes, tokens) bool: whether there was such a step in each episode."""
        return positions.step - state.step + state.timestep[:, None] >= 0


class ActingStep(nn.Module):
    """`act` of a learner, on named tensors."""

    def __init__(
        self, learner: Learner, shape: Mapping[str, tuple[int, ...]], return_scale: float
    ) -> None:
        """`shape` is that of each tensor of a live observation, without episodes and steps.

        Raises PipelineError for a method whose step is no function of such tensors.
        """
        super().__init__()
        state, inner = learner.start(1), getattr(learner, "transformer", None)
        cached = isinstance(state, TransformerState) and isinstance(inner, Transformer)
        if not (cached or isinstance(state, Stateless)):
            raise _refused(learner, "it acts by more than one pass on a key/value cache")
        if learner.settings.planned_steps:
            raise _refused(learner, "it plans; set planner.horizon to 0")
        self.learner = copy.deepcopy(learner).cpu().eval()
        self.shape, self.return_scale = shape, return_scale
        self.memory: RememberingTransformer | None = None
        if cached:
            own = cast(Any, self.learner)
            self.memory = RememberingTransformer(own.transformer, own.tokens_per_step)
            own.transformer = self.memory
        for module in self.learner.modules():
            if isinstance(module, TimeEmbedding):  # whose table has no row for the time before 0
                module.register_forward_pre_hook(lambda _, given: (given[0].clamp(min=0),))
        self.start = self._start()
        """What may be asked for, of one episode before its first step."""

    def _start(self) -> dict[str, Tensor]:
        observed = {
            name: torch.zeros(1, *size, dtype=TYPES.get(name, torch.float32))
            for name, size in self.shape.items()
        }
        return {
            **observed,
            "previous_action": torch.from_numpy(self.learner.spec.choices.start())[None],
            "previous_reward": torch.zeros(1),
            "return_to_go": torch.zeros(1),
            "timestep": torch.zeros(1, dtype=torch.int64),
            **({} if self.memory is None else self.memory.start()),
        }

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Act: `logits` (episodes, actions), or the `action` itself, (episodes,) int64 or
        (episodes, components); and `next_keys` and `next_values`.

        `inputs` are those that `start` names. What the policy does not look at may be missing.
        """
        inputs = {**self.start, **inputs}
        timestep = inputs["timestep"]
        moment = Moment(
            {name: inputs[name][:, None] for name in self.shape},
            inputs["previous_action"][:, None],
            inputs["previous_reward"][:, None],
            inputs["return_to_go"][:, None] / self.return_scale,
            timestep[:, None],
            torch.zeros_like(timestep),
            self._no_noise,
        )
        state: Any = Stateless()
        if self.memory is not None:
            state = self.memory.remembered(timestep, *(inputs[name] for name in MEMORY))
        decided, after = self.learner.act(moment, cast(ActingState, state))
        drawn = decided.is_floating_point() and not self.learner.spec.choices.continuous
        memory = {f"next_{name}": getattr(after, name) for name in MEMORY if self.memory}
        return {"logits" if drawn else "action": decided, **memory}

    def _no_noise(self, *shape: int) -> Tensor:
        raise _refused(self.learner, "it draws random numbers")

    def asked(self) -> dict[str, Tensor]:
        """The inputs that the policy looks at, of two episodes."""
        examples = {
            name: each.repeat_interleave(2, dim=_axis(name)) for name, each in self.start.items()
        }
        graph = make_fx(self)(examples).graph
        graph.eliminate_dead_code()
        inputs = [node for node in graph.nodes if node.op == "placeholder"]
        return {
            name: examples[name] for name, node in zip(examples, inputs, strict=True) if node.users
        }


def write(path: Path, step: ActingStep, told: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Write a step to `path`, whole or not at all; the shapes of its inputs, for one episode.

    `told` is kept in the file.

    Raises PipelineError for another kind of file, without ONNX, and for a method that cannot be
    exported.
    """
    if path.suffix not in KINDS:
        raise PipelineError(f"{path}: name a file that ends in {' or '.join(KINDS)}")
    if path.suffix == ".onnx":
        _find_onnx()
    try:
        # Attention by its formula: its other forms promise an order in memory that ONNX has not.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _quietly():
            asked = step.asked()
            program = _program(step, asked)
            if path.suffix == ".onnx":
                content = _onnx(program, told, list(asked), list(step(asked)))
            else:
                content = _pt2(program, told)
    except RuntimeError as error:
        raise _refused(step.learner, str(error).strip().partition("\n")[0]) from error
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return {name: tuple(step.start[name].shape) for name in asked}


def _program(step: ActingStep, asked: dict[str, Tensor]) -> ExportedProgram:
    """The step, for any number of episodes."""
    shapes = {name: {_axis(name): Dim(EPISODES)} for name in asked}
    return torch.export.export(step, (asked,), dynamic_shapes=(shapes,), strict=False)


def _pt2(program: ExportedProgram, told: Mapping[str, str]) -> bytes:
    """As `torch.export.load` reads it."""
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={TOLD: json.dumps(told)})
    return content.getvalue()


def _onnx(
    program: ExportedProgram, told: Mapping[str, str], inputs: list[str], outputs: list[str]
) -> bytes:
    """As ONNX has it."""
    found = torch.onnx.export(program, input_names=inputs, output_names=outputs, verbose=False)
    assert found is not None  # of the exporter that is built on torch.export
    for value in (*found.model.graph.inputs, *found.model.graph.outputs):
        assert value.shape is not None
        value.shape[_axis(value.name or "")] = EPISODES
    found.model.metadata_props.update(told)
    content: bytes = found.model_proto.SerializeToString()
    return content


def _axis(name: str) -> int:
    """Which axis of an input or output counts the episodes."""
    return 1 if name.removeprefix("next_") in MEMORY else 0


def _find_onnx() -> None:
    for name in ("onnx", "onnxscript"):
        if find_spec(name) is None:
            raise PipelineError(
                f"{name}: not installed; run pip install 'more3s[export]', or name a file that "
                "ends in .pt2"
            )


def _refused(learner: Learner, cause: str) -> PipelineError:
    name = type(learner).__module__.rpartition(".")[2]
    return PipelineError(f"{name}: its acting step cannot be exported: {cause}")


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says of packages that this one does not use."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
