"""A bundle: one folder with a trained policy and all that it needs to be played anywhere.

`bundle.json` (`Bundle`), `policy.safetensors`, and for a policy that sees embeddings
`prompts.json`, `encoder/` and, where its detector has published weights, `detector/`; `README.md`
says what it is. Others write such folders too, so what is read of one is JSON, safetensors and a
vocabulary, each with the SHA-256 that `bundle.json` has of it; classes are those of this package,
found by their names.
"""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field
from safetensors.torch import save_file

from pipeline import environments
from pipeline.config import plugins
from pipeline.config.data import Sha256
from pipeline.config.schema import EnvironmentConfig, FeaturesConfig, MethodConfig, Section
from pipeline.config.section import RunSeed, validate
from pipeline.errors import PipelineError
from pipeline.evaluation.run import EvaluationProtocol, LoadedPolicy, load_policy, target_return
from pipeline.io.atomic import replacing_folder
from pipeline.io.json import parse
from pipeline.io.reading import reading, utf8_text
from pipeline.observations import ObserverInputs
from pipeline.pretrained import weights

MANIFEST, CARD, POLICY, PROMPTS = "bundle.json", "README.md", "policy.safetensors", "prompts.json"
ENCODER, DETECTOR = "encoder", "detector"
PARTS: dict[str, tuple[str, ...]] = {
    POLICY: (".safetensors",),
    PROMPTS: (".json",),
    ENCODER: (".json", ".safetensors", ".txt"),
    DETECTOR: (".safetensors",),
}
"""Files and folders of a bundle, and the kinds of file that they may be."""
VECTOR = "state"
"""The tensor of an observation that is the state vector; all others are made of the frame."""
TOLD = ("weights", "data_source", "sampling", "versions")
LONGEST = 1 << 24
"""Bytes of `bundle.json`."""
AGAIN = "run bundle_policy again, or get it again"


class Shown(Section):
    """What a policy is shown at every step."""

    frame: tuple[int, int, int] | None = Field(None, description="(H, W, 3), RGB, uint8")
    state: int | None = Field(None, description="numbers of the state vector, float32")


class Bundle(Section):
    """The content of `bundle.json`."""

    format: Literal[1] = 1
    dataset: str = Field(description="the name of the data that it was trained on")
    variant: str
    seed: RunSeed
    scale: str = Field(description="label of the scale: laptop, toy, paper")
    environment: EnvironmentConfig
    method: MethodConfig
    features: FeaturesConfig
    max_episode_steps: int = Field(ge=1)
    target_return: float
    shown: Shown
    actions: list[str]
    returns: list[float] = Field(min_length=1, description="of the episodes of its evaluation")
    told: dict[str, str] = Field(description="what a table says of the run: TOLD")
    data: dict[str, float] = Field(description="episodes, steps, mean and best return")
    licences: dict[str, str] = Field({}, description="published weights in it → their licence")
    files: dict[str, Sha256] = Field({}, description="path in the folder → SHA-256")


@dataclass(frozen=True)
class Parts:
    """The files that a bundle is made of."""

    policy: Path
    encoder: Path | None = None
    prompts: Path | None = None
    weights: Path | None = None
    """Of the detector: a folder or a file, as it was published."""


def describe(
    loaded: LoadedPolicy, protocol: EvaluationProtocol, method: MethodConfig, **labels: Any
) -> Bundle:
    """What a bundle says of a policy that was played under `protocol`; `labels` are those fields
    that neither of them knows.
    """
    data = protocol.data
    return Bundle(
        seed=protocol.seed,
        environment=protocol.environment,
        method=method.model_copy(update={"evaluation": protocol.evaluation}),
        max_episode_steps=protocol.max_steps,
        target_return=target_return(protocol.evaluation, data),
        shown=_shown_to(loaded, protocol.environment),
        actions=list(loaded.actions.names),
        data={
            "episodes": len(data.episode_length),
            "steps": len(data.actions),
            "mean": float(data.score.mean()),
            "best": float(data.score.max()),
        },
        **labels,
    )


def _shown_to(loaded: LoadedPolicy, environment: EnvironmentConfig) -> Shown:
    """What a policy is shown; nothing is drawn for one that reads state vectors alone."""
    shape = loaded.description.shape
    state = shape[VECTOR][0] if VECTOR in shape else None
    if set(shape) == {VECTOR}:
        return Shown(state=state)
    game = environments.make(environment)
    game.reset(0, 0)
    height, width, channels = game.frame().shape
    return Shown(frame=(height, width, channels), state=state)


def write(path: Path, bundle: Bundle, parts: Parts, card: str) -> None:
    """Write the folder `path`, whole or not at all; `bundle.files` is filled in here.

    Published weights become safetensors. Raises PipelineError where a part is of a kind that
    nobody would load again.
    """
    with replacing_folder(path) as folder:
        shutil.copyfile(parts.policy, folder / POLICY)
        if parts.prompts is not None:
            shutil.copyfile(parts.prompts, folder / PROMPTS)
        if parts.encoder is not None:
            hidden = shutil.ignore_patterns(".*")  # such as Snakemake's time stamps
            shutil.copytree(parts.encoder, folder / ENCODER, ignore=hidden)
        if parts.weights is not None:
            file = weights.find(parts.weights) if parts.weights.is_dir() else parts.weights
            tensors = {name: each.contiguous().clone() for name, each in weights.read(file).items()}
            (folder / DETECTOR).mkdir()
            save_file(tensors, folder / DETECTOR / "model.safetensors")
        files = {name: _sha256(folder / name) for name in sorted(_names(folder))}
        whole = bundle.model_copy(update={"files": files})
        text = whole.model_dump_json(indent=1) + "\n"
        (folder / MANIFEST).write_text(text, encoding="utf-8")
        (folder / CARD).write_text(card, encoding="utf-8")
        read(folder)  # what would be refused later is refused now


def read(folder: Path) -> Bundle:
    """What a bundle says of itself, when all its files are there and are the ones it names.

    Raises PipelineError naming the file, the cause and the cure.
    """
    path = folder / MANIFEST
    try:
        content = parse(utf8_text(path, AGAIN, LONGEST))
        method = content["method"]["method"]
    except FileNotFoundError:
        raise PipelineError(
            f"{path}: missing; name a folder that `snakemake results/bundles/…` made"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise PipelineError(f"{path}: not the content of a bundle ({error!r}); {AGAIN}") from None
    plugins.check("methods", str(method))
    bundle = validate(Bundle, content, str(path))
    if POLICY not in bundle.files:
        raise PipelineError(f"{path}: names no {POLICY}; {AGAIN}")
    for name, expected in bundle.files.items():
        _check(folder, name, expected)
    for part in (ENCODER, DETECTOR):  # libraries read what they find there
        for name in sorted(_names(folder, part)):
            if name not in bundle.files:
                raise PipelineError(f"{folder / name}: {MANIFEST} does not name it; remove it")
    return bundle


def load(folder: Path, device: str = "cpu") -> tuple[Bundle, LoadedPolicy]:
    """A bundle and its policy, ready to play on `device`.

    Raises PipelineError naming the file, the cause and the cure.
    """
    bundle = read(folder)
    held = {PurePosixPath(name).parts[0] for name in bundle.files}
    encoder, prompts, detector = (
        folder / name if name in held else None for name in (ENCODER, PROMPTS, DETECTOR)
    )
    inputs = ObserverInputs(bundle.features, encoder, prompts, detector, device)
    return bundle, load_policy(folder / POLICY, bundle.method, inputs)


def _names(folder: Path, part: str = "") -> Iterator[str]:
    """All files of a bundle, or of a part of it, relative to the bundle."""
    for path in (folder / part).rglob("*"):
        if not path.is_dir():
            yield path.relative_to(folder).as_posix()


def _check(folder: Path, name: str, expected: str) -> None:
    """Refuse a file that is no part of a bundle, is missing, or is another one."""
    first, *below = PurePosixPath(name).parts or ("",)
    allowed = PARTS.get(first, ())
    folders = first in (ENCODER, DETECTOR)
    if PurePosixPath(name).suffix not in allowed or len(below) != folders or ".." in below:
        kinds = ", ".join(f"{part}: {' '.join(kinds)}" for part, kinds in PARTS.items())
        raise PipelineError(f"{folder / MANIFEST}: {name} is no file of a bundle ({kinds})")
    try:
        found = _sha256(folder / name)
    except FileNotFoundError:
        raise PipelineError(f"{folder / name}: missing; {AGAIN}") from None
    if found != expected:
        raise PipelineError(
            f"{folder / name}: damaged, or not the file that {MANIFEST} names; {AGAIN}"
        )


def _sha256(file: Path) -> str:
    with reading(file), file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
