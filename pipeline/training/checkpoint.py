"""A trained policy as one safetensors file: weights, and what is needed to build and to play it, as
JSON metadata.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.io.atomic import replacing
from pipeline.io.json import parse
from pipeline.io.reading import reading
from pipeline.methods import Learner, Spec, make
from pipeline.nn.per_task import KnowsData, PerTask, TaskEmbedding
from pipeline.training.resume import tensors_of

DESCRIBING = ("text_tokens", "storage", "features", "weights")
"""Attributes of an observation store that go into the checkpoint."""
OF_SEVERAL = ("joint", "per_task")
"""What a description has only of a policy of several tasks."""
DEFINING = ("method", "features", "policy", "training")
"""Sections that make a checkpoint what it is; `evaluation` may differ."""


@dataclass(frozen=True)
class Description:
    """What a checkpoint says about itself."""

    method: dict[str, Any]
    """The MethodConfig it was trained with; what only play depends on is not part of it."""
    seed: int
    tasks: list[str]
    """Games or robots."""
    actions: list[dict[str, Any]]
    """The ActionSpace of each, `as_dict`."""
    return_scale: float
    shape: dict[str, list[int]]
    """Of the observations, without batch and steps."""
    attributes: dict[str, Any]
    """Of the observation store, as far as DESCRIBING."""
    observation: str
    """The kind that it reads: a module of `pipeline/observations/`."""
    initial: str | None = None
    """What the transformer's layers had learned before, if they had."""
    joint: dict[str, Any] | None = None
    """The ActionSpace of a policy of several tasks, `as_dict`."""
    per_task: list[dict[str, Any]] = field(default_factory=list)
    """Of each of several tasks its `return_scale`, and of its store as far as DESCRIBING."""

    def task(self, name: str | None) -> int:
        """Which of its tasks the one called `name` is; a policy of one needs no name.

        Raises PipelineError where there is none of this name, or several and no name.
        """
        if self.joint is None and name is None:
            return 0
        if self.joint is None:
            raise PipelineError(f"trained on one game, {self.tasks[0]}; play it without --task")
        if name is None:
            raise PipelineError(f"trained on several games; name one with --task: {self._listed}")
        if name not in self.tasks:
            raise PipelineError(
                f"not trained on {name}; it plays {self._listed}, and another game only after a "
                "training on that"
            )
        return self.tasks.index(name)

    def of(self, task: int) -> Mapping[str, Any]:
        """`return_scale` and attributes of a task."""
        own = self.per_task[task] if self.per_task else {"return_scale": self.return_scale}
        return {**self.attributes, **own}

    def as_dict(self) -> dict[str, Any]:
        """For JSON; of a policy of one task without what only several have."""
        told = asdict(self)
        return {name: told[name] for name in told if told[name] or name not in OF_SEVERAL}

    @property
    def _listed(self) -> str:
        return ", ".join(self.tasks)

    @property
    def weights(self) -> str:
        """Which weights a run used, for tables."""
        return self.weights_on(0)

    def weights_on(self, task: int) -> str:
        """The same of a run on one of its tasks."""
        began = f" from {self.initial}" if self.initial else ""
        encoder = self.of(task).get("weights")
        return "; ".join(text for text in (encoder, f"policy trained here{began}") if text)


def describe(
    config: MethodConfig, seed: int, return_scale: float, spec: Spec, initial: str | None = None
) -> Description:
    """Describe a policy trained for `spec`, from `initial` layers."""
    kept, joint = ("return_scale", *DESCRIBING), spec.joint
    return Description(
        method=config.trained().model_dump(mode="json"),
        seed=seed,
        tasks=list(spec.tasks),
        actions=[each.as_dict() for each in spec.actions],
        return_scale=return_scale,
        shape={name: list(size) for name, size in spec.shape.items()},
        attributes={name: spec.statistics[name] for name in DESCRIBING if name in spec.statistics},
        observation=config.policy.observed,
        initial=initial,
        joint=None if joint is None else joint.as_dict(),
        per_task=[{name: own[name] for name in kept if name in own} for own in spec.per_task],
    )


def name(step: int) -> str:
    """The name of the checkpoint after `step` updates, in a folder of them."""
    return f"step-{step:07d}.safetensors"


def steps(folder: Path) -> dict[int, Path]:
    """The checkpoints in `folder` by the updates they had seen, in order."""
    paths = sorted(folder.glob("step-*.safetensors"))
    return {int(path.stem.removeprefix("step-")): path for path in paths}


def save(path: Path, learner: Learner, description: Description) -> None:
    """Write the checkpoint, whole or not at all: of the learner what is played."""
    described = json.dumps(description.as_dict(), sort_keys=True)
    tensors = tensors_of(learner)
    kept = {name: tensors[name] for name in tensors if _is_played(learner, name)}
    with replacing(path) as temporary:
        save_file(kept, temporary, {"description": described})


def keep(folder: Path, description: Description, step: int, learner: Learner) -> None:
    """Write the checkpoint after `step` updates into a folder of them."""
    save(folder / name(step), learner, description)


def load(path: Path, config: MethodConfig, device: str = "cpu") -> tuple[Learner, Description]:
    """Read a checkpoint for playing on `device`.

    Raises PipelineError naming the file if it is missing, damaged, or of another configuration than
    `config`.
    """
    description, actions, joint, tensors = _read(path)
    given = _trained(config.model_dump(mode="json"), config)
    found = _trained(description.method, config)
    for section in DEFINING:
        if found.get(section) != given[section]:
            difference = _difference(section, found, given)
            raise PipelineError(
                f"{path}: trained with another configuration ({difference}); "
                "run train_policy again, or evaluate with the configuration it was trained with"
            )
    try:
        shape = {name: tuple(size) for name, size in description.shape.items()}
        told = description.attributes, tuple(description.per_task), joint
        spec = Spec(tuple(description.tasks), actions, shape, *told)
        learner = make(config, spec)
        missing, unexpected = learner.load_state_dict(tensors, strict=False)
        if wrong := [*unexpected, *(name for name in missing if _is_played(learner, name))]:
            raise ValueError(f"{wrong[0]} is {'unknown' if unexpected else 'missing'}")
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise PipelineError(
            f"{path}: its weights do not fit its configuration ({error}); run train_policy again"
        ) from None
    learner.to(device).eval()
    return learner, description


def _trained(method: Mapping[str, Any], config: MethodConfig) -> dict[str, Any]:
    """The same without what only play depends on: its default may change, or have been another
    when the policy was trained. Features are named of a policy that reads them.
    """
    policy = method.get("policy") or {}
    kept = {key: policy[key] for key in policy if key not in config.policy.acting}
    read = {} if config.policy.embedded else {"features": config.features}
    return {**method, **read, "policy": kept}


def begin_with(learner: Learner, path: Path) -> str:
    """Give a new learner the weights of the checkpoint at `path`, which may be of other games, and
    say which.

    A row for each game goes to the game of the same name; a game that is not known there begins
    with the mean of all rows. A module for each game goes there too, and that of a game that is not
    known begins untrained. Statistics of data are those of the learner's own.
    Raises PipelineError naming the file and the weight that does not fit.
    """
    description, *_, tensors = _read(path)
    begun = learner.state_dict()
    for name in begun:
        if not _is_played(learner, name) or _is_of_data(learner, name):
            continue
        if (theirs := _called(learner, name, description.tasks)) is None:
            continue
        if theirs not in tensors:
            raise PipelineError(f"{path}: has no {theirs}; begin with a run of the same settings")
        first = tensors[theirs]
        if isinstance(_owner(learner, name), TaskEmbedding):
            first = _rows(first, description.tasks, learner.spec)
        if first.shape != begun[name].shape:
            raise PipelineError(
                f"{path}: {name} is {tuple(first.shape)}, not {tuple(begun[name].shape)}; begin "
                "with a run of the same settings, and of several games where this is one"
            )
        begun[name] = first
    learner.load_state_dict(begun)
    return f"{description.method['method']} of {', '.join(description.tasks)}"


def _rows(stored: torch.Tensor, known: Sequence[str], spec: Spec) -> torch.Tensor:
    """Of a table with a row for each of the tasks `known` that for the tasks of `spec`."""
    if spec.joint is None:
        return stored
    mean = stored.mean(dim=0)
    return torch.stack([stored[known.index(t)] if t in known else mean for t in spec.tasks])


def _called(learner: Learner, name: str, known: Sequence[str]) -> str | None:
    """What the tensor `name` of a learner is called in a policy of the tasks `known`; None where it
    belongs to a task that is not one of them. Policies of one task do not look at its name.
    """
    parts = name.split(".") if learner.spec.joint else []
    for place, part in enumerate(parts):
        owner = ".".join(parts[:place])
        if isinstance(learner.get_submodule(owner), PerTask):
            task = learner.spec.tasks[int(part)]
            if task not in known:
                return None
            return ".".join([*parts[:place], str(known.index(task)), *parts[place + 1 :]])
    return name


def _is_of_data(learner: Learner, name: str) -> bool:
    """Whether a tensor is one of the data's statistics, which a module names."""
    owner = _owner(learner, name)
    return isinstance(owner, KnowsData) and name.rpartition(".")[2] in owner.of_data


def _owner(learner: Learner, name: str) -> nn.Module:
    """The module that a tensor is of."""
    return learner.get_submodule(name.rpartition(".")[0])


def _read(
    path: Path,
) -> tuple[Description, tuple[ActionSpace, ...], ActionSpace | None, dict[str, torch.Tensor]]:
    """What a checkpoint says of itself, its tasks' actions, all of them together, and its tensors;
    PipelineError naming the file if it is missing or damaged.
    """
    try:
        with reading(path, opened=True), safe_open(path, "pt") as file:
            description = _described(parse((file.metadata() or {})["description"]))
            actions = tuple(ActionSpace.from_dict(each) for each in description.actions)
            joint = ActionSpace.from_dict(description.joint) if description.joint else None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such checkpoint; run train_policy") from None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise PipelineError(
            f"{path}: not a checkpoint of this pipeline ({error}); run train_policy again"
        ) from None
    return description, actions, joint, tensors


def _is_played(learner: Learner, name: str) -> bool:
    """Whether a tensor belongs to what is played."""
    return not learner.played or name.startswith(f"{learner.played}.")


def _described(content: dict[str, Any]) -> Description:
    """The description in a file's metadata; TypeError where it is of another kind."""
    description = Description(**content)
    for part in (description.method, description.shape, description.attributes):
        if not isinstance(part, dict):
            raise TypeError("its description is of another kind")
    if description.joint and len(description.per_task) != len(description.tasks):
        raise ValueError("it does not tell of each of its tasks")
    for task in range(len(description.per_task) or 1):
        scale = description.of(task).get("return_scale")
        if not isinstance(scale, int | float) or scale <= 0:
            raise ValueError(f"its return scale is {scale!r}")
    return description


def _difference(section: str, stored: dict[str, Any], given: dict[str, Any]) -> str:
    """The first key that differs, with both values."""
    old, new = stored.get(section), given[section]
    if isinstance(old, dict) and isinstance(new, dict):
        key = next(key for key in [*new, *old] if old.get(key) != new.get(key))
        return f"{section}.{key}: {old.get(key)!r}, not {new.get(key)!r}"
    return f"{section}: {old!r}, not {new!r}"
