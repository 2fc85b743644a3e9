"""The settings of each method, one file per method. The process that runs Snakemake reads them
before any run starts, so nothing here imports torch.

`pipeline/config/methods/<name>.py` has `class Settings(MethodSettings)`, or
`(TransformerSettings)` if the method is built on one. A method without such a file has
`MethodSettings`.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, Field

from pipeline.config.section import Section, only
from pipeline.errors import PipelineError

Activation = Literal["gelu", "gelu_tanh", "relu"]
"""`gelu_tanh` is what GPT-2 was trained with."""
ActionKind = Literal["discrete", "continuous", "both"]
FROM_CACHE = frozenset({"embeddings", "embeddings_and_states"})
"""Kinds of observation that are read from the feature cache."""
RUN = "run:"
InitialWeights = Annotated[
    Literal["random", "language_model"]
    | Annotated[str, Field(pattern=rf"^{RUN}[^/]+/[^/]+/[^/]+(/seed-\d+)?$")],
    only("random, language_model or run:<dataset>/<method>/<variant>"),
]


class FirstRun(NamedTuple):
    """The run whose policy another training begins with."""

    dataset: str
    method: str
    variant: str
    seed: int | None
    """None: that of the training itself."""


class Game(NamedTuple):
    """What is known of a training's game before any data; of several, what all have in common."""

    name: str
    continuous: bool
    """Whether its actions are vectors."""
    states: bool
    """Whether state vectors are observed, perhaps beside embeddings."""
    embeddings: bool
    """Whether embeddings are."""
    several: bool
    """Whether one policy is trained on it and on others."""


class MethodSettings(Section):
    """What every method has, and what the driver asks of it."""

    observations: ClassVar[tuple[str, ...]] = (
        *("embeddings", "pixels", "states", "embeddings_and_states"),
    )
    """Kinds of observation that it can read, modules of `pipeline/observations/`; the first is what
    it reads if the configuration names none.
    """
    uses_returns: ClassVar[bool] = False
    """Whether it is told a target return when it acts."""

    predicts: ClassVar[bool] = False
    """Whether it can be asked which states follow from given actions."""

    several_tasks: ClassVar[bool] = False
    """Whether one policy can be trained on several games at once."""

    attends: ClassVar[bool] = False
    """Whether it has a transformer, whose attention can be drawn."""

    optimisers: ClassVar[tuple[str, ...]] = ("policy",)
    """Those that it may have; `training.learning_rates` can give each a rate of its own."""

    acting: ClassVar[tuple[str, ...]] = ()
    """Keys that only play depends on: a change of these trains nothing again."""
    needs_rewards: ClassVar[bool] = False
    """Whether it learns from the reward of each step, so that data without any are refused."""

    actions: ClassVar[ActionKind] = "both"
    """The kind of actions that it takes."""

    observation: str | None = Field(
        None,
        description="what the method observes: a module of pipeline/observations/ that it can "
        "read; default: the first of those",
    )
    context_length: int = Field(
        8, ge=1, description="K: number of steps of a window on which loss is taken"
    )

    def check(self, game: Game) -> None:
        """Raise a PipelineError where a policy cannot have these settings on `game`. It is called
        when the configuration is read, and when a policy is made.
        """
        kind = "continuous" if game.continuous else "discrete"
        if self.actions not in ("both", kind):
            raise PipelineError(
                f"{game.name}: its actions are {kind}, and this method is for {self.actions} ones; "
                "choose another method for this data set"
            )

    @property
    def observed(self) -> str:
        """The kind of observation that is read."""
        return self.observation or self.observations[0]

    @property
    def embedded(self) -> bool:
        """Whether that is read from the feature cache."""
        return self.observed in FROM_CACHE

    @property
    def memory(self) -> int:
        """M: steps of a window before those that carry loss."""
        return 0

    @property
    def ahead(self) -> int:
        """Steps of a window after those that carry loss: 1 for temporal differences, more for
        models that look ahead.
        """
        return 0

    @property
    def learned_steps(self) -> int:
        """How many steps of a window carry loss, which is what a training has seen of the data."""
        return self.context_length

    @property
    def from_language_model(self) -> bool:
        """Whether training begins with the layers of a language model."""
        return False

    @property
    def can_predict(self) -> bool:
        """The same of a method that can only with some of its settings."""
        return self.predicts

    @property
    def planned_steps(self) -> int:
        """H: steps of a plan; 0 without plans."""
        return 0

    def planning(self, steps: int) -> Self | None:
        """The same with plans of at least so many steps; None without plans."""
        return None

    @property
    def first_run(self) -> FirstRun | None:
        """The run whose policy this one begins with, where `initial_weights` names one."""
        said = str(getattr(self, "initial_weights", ""))
        if not said.startswith(RUN):
            return None
        dataset, method, variant, *seed = said.removeprefix(RUN).split("/")
        number = int(seed[0].removeprefix("seed-")) if seed else None
        return FirstRun(dataset, method, variant, number)


class TransformerSettings(MethodSettings):
    """Of a method whose trunk is `pipeline/nn/transformer.py`."""

    attends: ClassVar[bool] = True

    width: int = Field(128, ge=8)
    layers: int = Field(3, ge=1)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    activation: Activation = "gelu"
    time_embedding: Literal["relative", "sinusoidal", "learned", "none"] = Field(
        "relative",
        description="relative: a learned bias of attention by the distance in steps, without "
        "absolute time",
    )
    max_timesteps: int = Field(30_000, ge=1, description="size of the learned time embedding")
    history_dropout: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability of hiding the previous action (prompt, action token) in training",
    )
    initial_weights: InitialWeights = Field(
        "random",
        description="initial weights: random; language_model: of the transformer's layers those of "
        "the method's language_model; run:<dataset>/<method>/<variant>: those of a policy of the "
        "same method, which {method} stands for, of the same seed unless /seed-<n> follows",
    )

    @property
    def from_language_model(self) -> bool:
        """Whether training begins with the layers of a language model."""
        return self.initial_weights == "language_model"


@cache
def settings_class(method: str) -> type[MethodSettings]:
    """What the settings of a method are."""
    module = f"{__name__}.{method}"
    if not method.isidentifier() or find_spec(module) is None:
        return MethodSettings
    found: type[MethodSettings] = import_module(module).Settings
    return found


def own(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `settings`, which several methods share, that `method` has; of sections too."""
    taken = _taken(settings_class(method), settings)
    if isinstance(first := taken.get("initial_weights"), str):
        taken["initial_weights"] = first.replace("{method}", method)
    return taken


def _taken(schema: type[BaseModel], settings: Mapping[str, Any]) -> dict[str, Any]:
    inner = inner_sections([schema])
    taken = {key: settings[key] for key in schema.model_fields if key in settings}
    for key, value in taken.items():
        if key in inner and isinstance(value, Mapping):
            taken[key] = _taken(inner[key][0], value)
    return taken


def inner_sections(schemas: Iterable[type[BaseModel]]) -> dict[str, list[type[BaseModel]]]:
    """The sections inside `schemas`, by key: one of each schema that has it."""
    found: dict[str, list[type[BaseModel]]] = {}
    for schema in schemas:
        for key, field in schema.model_fields.items():
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found.setdefault(key, []).append(kind)
    return found
