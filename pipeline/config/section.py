"""The base class of all sections of settings, one-line messages for wrong settings, and how
settings are merged.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from pipeline.errors import PipelineError, unknown_name

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item")


def distinct(items: list[Item]) -> list[Item]:
    """The items, as a validator; ValueError if one is listed twice."""
    if twice := [item for item in items if items.count(item) > 1]:
        raise ValueError(f"{twice[0]!r} is listed twice; once is enough")
    return items


Distinct = Annotated[list[Item], AfterValidator(distinct)]
"""What is listed twice would count twice."""
LARGEST_SEED = 2**31 - 1
"""That an emulator of games takes."""
SEEDS_APART = 1000
"""Reset seeds of each seed: episode i of seed s has SEEDS_APART · s + i, and what is added."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
RunSeed = Annotated[int, Field(ge=0, le=LARGEST_SEED // SEEDS_APART - 1)]
"""One that reset seeds of episodes are made from."""


class Section(BaseModel):
    """Base of every section: immutable; a key it does not know, or NaN, is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def as_json(self) -> str:
        """Canonical JSON text: the same settings always give the same text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse and validate; raises PipelineError naming the key and the cause."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise explain(error, cls.__name__, cls) from None


def only(allowed: str) -> WrapValidator:
    """A validator of what a type takes, whose error says so in words."""

    def check(value: object, of_type: ValidatorFunctionWrapHandler) -> Any:
        try:
            return of_type(value)
        except ValidationError:
            raise PydanticCustomError("only", f"{value!r}; allowed: {allowed}") from None

    return WrapValidator(check)


def merge(base: Mapping[str, Any], *overlays: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with each of `overlays` put over it: mappings merge key by key, everything else
    replaces.
    """
    merged = dict(base)
    for key, value in chain.from_iterable(overlay.items() for overlay in overlays):
        old = merged.get(key)
        nested = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if nested else value  # type: ignore[arg-type]
    return merged


def explain(
    error: ValidationError, where: str, schema: type[BaseModel] | None = None
) -> PipelineError:
    """Turn a validation error into one line: file or section, key, cause, what is allowed."""
    first = telling(error)
    key = ".".join(str(part) for part in first["loc"]) or "(whole)"
    cause = first["msg"]
    if first["type"] == "extra_forbidden" and schema is not None:
        allowed = list(_schema_at(schema, first["loc"][:-1]).model_fields)
        cause = str(unknown_name("key", str(first["loc"][-1]), allowed))
    elif first["type"] == "missing":
        cause = "this key is required"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return PipelineError(f"{where}: {key}: {cause}{more}")


def telling(error: ValidationError) -> ErrorDetails:
    """The fault to mend first: of a misspelt key rather than of the one that is missed by it."""
    faults = error.errors()
    return next((each for each in faults if each["type"] == "extra_forbidden"), faults[0])


def _schema_at(schema: type[BaseModel], location: Iterable[int | str]) -> type[BaseModel]:
    """The section at `location` inside `schema`; names of mappings and indices are passed over."""
    for part in location:
        field = schema.model_fields.get(str(part))
        if field is None:
            continue
        candidates = (field.annotation, *getattr(field.annotation, "__args__", ()))
        schema = next(
            (kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)),
            schema,
        )
    return schema


def validate(schema: type[Model], content: object, where: str) -> Model:
    """Build a section; raises PipelineError naming `where`, the key and the cause."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise explain(error, where, schema) from None


def known(kind: str, name: str, allowed: Iterable[str], where: str) -> None:
    """Raise a PipelineError with the allowed names unless `name` is one of them."""
    if name not in (choices := list(allowed)):
        raise PipelineError(f"{where}: {unknown_name(kind, name, choices)}")
