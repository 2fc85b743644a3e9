"""Actions → sentences, in one of three prompt sets.

`resources/prompts/<game>.yaml` holds, per prompt set, one sentence per action name, or what the
sentences of continuous actions are made of (docs/method.md §1.3). What leaves is a JSON file with
the distinct sentences, and the sentence of each action or the rule that makes it.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.data import wording
from pipeline.config.schema import EnvironmentConfig
from pipeline.environments.action_space import Actions, ActionSpace
from pipeline.errors import PipelineError, unknown_name
from pipeline.features import prompt_rule
from pipeline.features.prompt_rule import Rule
from pipeline.io.json import parse
from pipeline.io.reading import reading
from pipeline.io.yaml import read_yaml

PROMPT_SETS = ("original", "synonym", "contextual")
NO_PROMPTS = "none"
"""In place of a prompt set: SILENCE for every action, so that the text says nothing."""
SILENCE = "A step of the game."


@dataclass(frozen=True)
class Prompts:
    """The sentences of one prompt set, as `make` writes them."""

    sentences: list[str]
    """Distinct; of continuous actions those that the data have, and more that have all words."""
    action_prompt: NDArray[np.int64] | None
    """(actions,) index of each discrete action's sentence; None where there is a rule."""
    rule: Rule | None = None
    """Makes the sentence of a continuous action."""

    def of(self, actions: Actions) -> NDArray[np.int64]:
        """(T,) index of the sentence of each of `actions` (T, …).

        Raises PipelineError for an action that has none here.
        """
        if self.rule is None:
            assert self.action_prompt is not None
            known = len(self.action_prompt)
            if len(actions) and actions.max() >= known:
                raise PipelineError(
                    f"action {actions.max()}, but prompts of {known} actions; "
                    "run write_prompts for the same environment"
                )
            found: NDArray[np.int64] = self.action_prompt[actions]
            return found
        said, which = self.rule.say(actions)
        unknown = [sentence for sentence in said if sentence not in self._place]
        if unknown:
            raise PipelineError(
                f"{unknown[0]!r} is not among the prompts; run write_prompts for the same "
                "trajectories"
            )
        return np.array([self._place[sentence] for sentence in said], np.int64)[which]

    def say(self, actions: Actions) -> list[str]:
        """The sentence of each of `actions` (B, …), also of one that is not in the data."""
        if self.rule is None:
            return [self.sentences[index] for index in self.of(actions)]
        said, which = self.rule.say(actions)
        return [said[index] for index in which]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {sentence: index for index, sentence in enumerate(self.sentences)}

    @classmethod
    def read(cls, path: Path) -> "Prompts":
        """Read the JSON that `make` wrote; raises PipelineError naming the file."""
        if not path.is_file():
            raise PipelineError(f"{path}: missing; run write_prompts")
        try:
            with reading(path):
                content = parse(path.read_text(encoding="utf-8"))
            sentences = content["sentences"]
            rule = Rule.from_dict(content["rule"]) if "rule" in content else None
            action_prompt = [] if rule else content["action_prompt"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PipelineError(
                f"{path}: not a prompt file ({error!r}); run write_prompts again"
            ) from None
        lists = [sentences] if rule else [sentences, action_prompt]
        sound = (
            all(isinstance(part, list) and part for part in lists)
            and all(isinstance(sentence, str) for sentence in sentences)
            and (rule or all(index in range(len(sentences)) for index in action_prompt))
        )
        if not sound:
            raise PipelineError(
                f"{path}: not sentences and the sentence of each action; run write_prompts again"
            )
        if rule:
            return cls(sentences, None, rule)
        return cls(sentences, np.array(action_prompt, np.int64))


def make(
    resources: Path,
    environment: EnvironmentConfig,
    prompt_set: str,
    space: ActionSpace,
    actions: Actions,
) -> str:
    """The prompts of an environment as JSON; of a continuous one those of the data's `actions`
    (T, A), with the rule for others.

    Raises PipelineError: no file, unreadable YAML, unknown prompt set, an action without a
    sentence, unsound words.
    """
    if not space.continuous:
        name = environment.prompts or environment.game
        return as_json(resources, name, prompt_set, space.names)
    if prompt_set == NO_PROMPTS:
        rule = Rule(list(space.low), list(space.high), [[""]] * space.size, SILENCE, "")
    else:
        path = resources / environment.wording
        words = _set(path, environment.game, prompt_set)
        rule = prompt_rule.rule(path, prompt_set, words, space, environment.action_levels)
    said, _ = rule.say(np.concatenate([space.start()[None], actions]))
    content = {
        "prompt_set": prompt_set,
        "game": environment.game,
        "sentences": list(dict.fromkeys([*rule.everywhere, *said])),
        "rule": rule.as_dict(),
        "sentences_in_data": len(said),
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def read(resources: Path, game: str, prompt_set: str) -> dict[str, str]:
    """The sentence of every action name of `game`.

    Raises PipelineError: no file for the game, unreadable YAML, unknown prompt set, a sentence that
    is empty or occurs twice.
    """
    path = resources / wording(game)
    by_action = _set(path, game, prompt_set)
    sentences = {str(action): _clean(text) for action, text in by_action.items()}
    for action, sentence in sentences.items():
        if not sentence or list(sentences.values()).count(sentence) > 1:
            raise PipelineError(
                f"{path}: {prompt_set}: the sentence of {action} is empty or occurs twice; "
                "give every action its own"
            )
    return sentences


def as_json(resources: Path, game: str, prompt_set: str, action_meanings: tuple[str, ...]) -> str:
    """The prompts of a game's actions as JSON: `prompt_set`, `game`, `sentences`, `action_prompt`.

    `sentences` are the distinct ones in order of first use, `action_prompt` the index of each
    action's; with the prompt set NO_PROMPTS all share one. Raises PipelineError naming an action
    without a sentence.
    """
    if prompt_set == NO_PROMPTS:
        by_action = dict.fromkeys(action_meanings, SILENCE)
    else:
        by_action = read(resources, game, prompt_set)
    missing = [action for action in action_meanings if action not in by_action]
    if missing:
        raise PipelineError(
            f"prompts of {game}, {prompt_set}: no sentence for {', '.join(missing)}; "
            f"add it to resources/{wording(game)}"
        )
    chosen = [by_action[action] for action in action_meanings]
    sentences = list(dict.fromkeys(chosen))
    content = {
        "prompt_set": prompt_set,
        "game": game,
        "sentences": sentences,
        "action_prompt": [sentences.index(sentence) for sentence in chosen],
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _set(path: Path, game: str, prompt_set: str) -> dict[str, Any]:
    """One prompt set of a file."""
    if not path.exists():
        raise PipelineError(f"{path}: no prompts for {game!r}; write one sentence per action")
    sets = read_yaml(path)
    if not isinstance(sets, dict) or not all(isinstance(part, dict) for part in sets.values()):
        raise PipelineError(f"{path}: not a mapping of prompt sets; correct the file")
    if prompt_set not in sets:
        raise PipelineError(f"{path}: {unknown_name('prompt set', prompt_set, list(sets))}")
    found: dict[str, Any] = sets[prompt_set]
    return found


def _clean(text: object) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""
