"""Sentences for vectors of torques: a part for each joint, by the level of its torque.

The interval between a component's bounds is cut into equal levels, and a prompt set has a word for
each: "Thigh pushes, leg rests, foot pulls." So sentences repeat, and any new action has one.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.environments.action_space import Actions, ActionSpace
from pipeline.errors import PipelineError

KEYS = ("sentence", "part", "between", "levels", "names")
PLACE = "{parts}"


@dataclass(frozen=True)
class Rule:
    """How an action becomes a sentence."""

    low: list[float]
    """(A,) bounds of each component."""
    high: list[float]
    parts: list[list[str]]
    """(A, levels) what is said of each component at each level, from low to high."""
    sentence: str
    """Has PLACE where the parts go; without it, the sentence of every action."""
    between: str

    @property
    def levels(self) -> int:
        """How many."""
        return len(self.parts[0])

    @cached_property
    def everywhere(self) -> list[str]:
        """(levels,) the sentences of one level everywhere: they have all words, and the longest."""
        return list(dict.fromkeys(self._sentence([i] * len(self.low)) for i in range(self.levels)))

    def level(self, actions: Actions) -> NDArray[np.int64]:
        """(…, A) level of each component, 0 the lowest; what is out of bounds counts as at them."""
        low, high = np.array(self.low), np.array(self.high)
        share = (actions.astype(np.float64) - low) / (high - low)
        level: NDArray[np.int64] = np.floor(share * self.levels).astype(np.int64)
        return level.clip(0, self.levels - 1)

    def say(self, actions: Actions) -> tuple[list[str], NDArray[np.int64]]:
        """The distinct sentences of actions (T, A) in order of appearance, and which is each's."""
        level = self.level(actions)  # (T, A)
        _, first, inverse = np.unique(level, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        sentences = [self._sentence(level[step].tolist()) for step in first[order]]
        return sentences, place[inverse]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; raises KeyError, TypeError or ValueError for anything else."""
        rule = cls(**{name: content[name] for name in cls.__dataclass_fields__})
        sizes = {len(part) for part in rule.parts}
        if len(sizes) != 1 or not len(rule.low) == len(rule.high) == len(rule.parts):
            raise ValueError("bounds and parts of a rule differ in number")
        np.array([rule.low, rule.high], np.float64)
        " ".join([rule.sentence, rule.between, *(text for part in rule.parts for text in part)])
        return rule

    def _sentence(self, level: list[int]) -> str:
        chosen = (part[i] for part, i in zip(self.parts, level, strict=True))
        text = self.sentence.replace(PLACE, self.between.join(chosen))
        return text[:1].upper() + text[1:]


def rule(
    path: Path, prompt_set: str, words: Mapping[str, Any], space: ActionSpace, levels: int
) -> Rule:
    """The rule that a prompt set's `words`, from the file `path`, make for an action space.

    `words` has `sentence` with {parts}, `part` with {joint} and {level}, `between`, `levels` (their
    number → a word for each) and `names` (joint → what it is called; others are called as the model
    does). Raises PipelineError naming what is missing.
    """
    where = f"{path}: {prompt_set}"
    missing = [key for key in KEYS if key not in words]
    if missing:
        raise PipelineError(
            f"{where}: no {', '.join(missing)}, which prompts of continuous actions are made of"
        )
    sentence, part, between = (str(words[key]) for key in KEYS[:3])
    if PLACE not in sentence or "{joint}" not in part or "{level}" not in part:
        raise PipelineError(f"{where}: 'sentence' needs {PLACE}, 'part' {{joint}} and {{level}}")
    names, known = words["names"] or {}, words["levels"]
    if not isinstance(names, dict) or not isinstance(known, dict):
        raise PipelineError(f"{where}: 'names' and 'levels' are mappings; correct the file")
    if levels not in known:
        raise PipelineError(
            f"{where}: no words for {levels} levels; set the environment's action_levels to "
            f"{', '.join(str(number) for number in known)}, or add them"
        )
    said = known[levels]
    if not isinstance(said, list) or len({str(word) for word in said}) != levels:
        raise PipelineError(f"{where}: levels: {levels}: needs {levels} different words")
    called = [str(names.get(name, name.replace("_", " "))) for name in space.names]
    if len(set(called)) != len(called):
        raise PipelineError(f"{where}: names: two joints are called alike; correct the file")
    parts = [
        [part.replace("{joint}", joint).replace("{level}", str(word)) for word in said]
        for joint in called
    ]
    return Rule(list(space.low), list(space.high), parts, sentence, between)
