"""A trained policy as one safetensors file: weights, and what is needed to build and to play it, as
JSON metadata.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from pipeline import methods
from pipeline.config.load import observation_kind
from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.io.atomic import replacing
from pipeline.io.reading import reading
from pipeline.methods import SequencePolicy
from pipeline.training.resume import tensors_of

DESCRIBING = ("text_tokens", "storage", "features", "weights")
"""Attributes of an observation store that go into the checkpoint."""
DEFINING = ("method", "features", "policy", "training")
"""Sections that make a checkpoint what it is; `evaluation` may differ."""


@dataclass(frozen=True)
class Description:
    """What a checkpoint says about itself."""

    method: dict[str, Any]
    """The MethodConfig it was trained with."""
    seed: int
    actions: dict[str, Any]
    """The ActionSpace, `as_dict`."""
    return_scale: float
    shape: dict[str, list[int]]
    """Of the observations, without batch and steps."""
    attributes: dict[str, Any]
    """Of the observation store, as far as DESCRIBING."""
    observation: str
    """The kind that it reads: a module of `pipeline/observations/`."""
    initial: str | None = None
    """What the transformer's layers had learned before, if they had."""

    @property
    def weights(self) -> str:
        """Which weights a run used, for tables."""
        began = f" from {self.initial}" if self.initial else ""
        encoder = self.attributes.get("weights")
        return "; ".join(text for text in (encoder, f"policy trained here{began}") if text)


def describe(
    config: MethodConfig,
    seed: int,
    actions: ActionSpace,
    return_scale: float,
    shape: dict[str, tuple[int, ...]],
    attributes: dict[str, Any],
    initial: str | None = None,
) -> Description:
    """Describe a policy trained on observations of `shape` with the store's `attributes`, from
    `initial` layers.
    """
    kept = {name: attributes[name] for name in DESCRIBING if name in attributes}
    sizes = {name: list(size) for name, size in shape.items()}
    method = config.model_dump(mode="json")
    kind = observation_kind(config)
    return Description(method, seed, actions.as_dict(), return_scale, sizes, kept, kind, initial)


def name(step: int) -> str:
    """The name of the checkpoint after `step` updates, in a folder of them."""
    return f"step-{step:07d}.safetensors"


def steps(folder: Path) -> dict[int, Path]:
    """The checkpoints in `folder` by the updates they had seen, in order."""
    paths = sorted(folder.glob("step-*.safetensors"))
    return {int(path.stem.removeprefix("step-")): path for path in paths}


def save(path: Path, policy: SequencePolicy, description: Description) -> None:
    """Write the checkpoint, whole or not at all."""
    assert isinstance(policy, nn.Module)
    described = json.dumps(asdict(description), sort_keys=True)
    with replacing(path) as temporary:
        save_file(tensors_of(policy), temporary, {"description": described})


def keep(folder: Path, description: Description, step: int, policy: SequencePolicy) -> None:
    """Write the checkpoint after `step` updates into a folder of them."""
    save(folder / name(step), policy, description)


def load(
    path: Path, config: MethodConfig, device: str = "cpu"
) -> tuple[SequencePolicy, Description]:
    """Read a checkpoint for playing on `device`.

    Raises PipelineError naming the file if it is missing, damaged, or of another configuration than
    `config`.
    """
    try:
        with reading(path, opened=True), safe_open(path, "pt") as file:
            description = _described(json.loads((file.metadata() or {})["description"]))
            actions = ActionSpace.from_dict(description.actions)
            tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such checkpoint; run train_policy") from None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise PipelineError(
            f"{path}: not a checkpoint of this pipeline ({error}); run train_policy again"
        ) from None
    given = config.model_dump(mode="json")
    for section in DEFINING:
        if description.method.get(section) != given[section]:
            difference = _difference(section, description.method, given)
            raise PipelineError(
                f"{path}: trained with another configuration ({difference}); "
                "run train_policy again, or evaluate with the configuration it was trained with"
            )
    try:
        shape = {name: tuple(size) for name, size in description.shape.items()}
        policy = methods.make(config, shape, description.attributes, actions)
        assert isinstance(policy, nn.Module)
        policy.load_state_dict(tensors)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise PipelineError(
            f"{path}: its weights do not fit its configuration ({error}); run train_policy again"
        ) from None
    policy.to(device).eval()
    return policy, description


def _described(content: dict[str, Any]) -> Description:
    """The description in a file's metadata; TypeError where it is of another kind."""
    description = Description(**content)
    for part in (description.method, description.shape, description.attributes):
        if not isinstance(part, dict):
            raise TypeError("its description is of another kind")
    if not isinstance(description.return_scale, int | float) or description.return_scale <= 0:
        raise ValueError(f"its return scale is {description.return_scale!r}")
    return description


def _difference(section: str, stored: dict[str, Any], given: dict[str, Any]) -> str:
    """The first key that differs, with both values."""
    old, new = stored.get(section), given[section]
    if isinstance(old, dict) and isinstance(new, dict):
        key = next(key for key in [*new, *old] if old.get(key) != new.get(key))
        return f"{section}.{key}: {old.get(key)!r}, not {new.get(key)!r}"
    return f"{section}: {old!r}, not {new!r}"
