"""Actions → sentences: the prompt of each action of a game, in one of three prompt sets.

`resources/prompts/<game>.yaml` holds, per prompt set, one sentence per action name (docs/method.md
§1.3); what leaves is a JSON file with the distinct sentences and the sentence of each action.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline.errors import PipelineError, unknown_name

PROMPT_SETS = ("original", "synonym", "contextual")
NO_PROMPTS = "none"
"""In place of a prompt set: SILENCE for every action, so that the text says nothing."""
SILENCE = "A step of the game."


@dataclass(frozen=True)
class Prompts:
    """The sentences of one game and prompt set, as `as_json` writes them."""

    sentences: list[str]
    """Distinct."""
    action_prompt: NDArray[np.int64]
    """(actions,) index of each action's sentence."""

    @classmethod
    def read(cls, path: Path) -> "Prompts":
        """Read the JSON that `as_json` wrote; raises PipelineError naming the file."""
        if not path.is_file():
            raise PipelineError(f"{path}: missing; run write_prompts")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            sentences, action_prompt = content["sentences"], content["action_prompt"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PipelineError(
                f"{path}: not a prompt file ({error!r}); run write_prompts again"
            ) from None
        sound = (
            all(isinstance(part, list) and part for part in (sentences, action_prompt))
            and all(isinstance(sentence, str) for sentence in sentences)
            and all(index in range(len(sentences)) for index in action_prompt)
        )
        if not sound:
            raise PipelineError(
                f"{path}: not sentences and the sentence of each action; run write_prompts again"
            )
        return cls(sentences, np.array(action_prompt, np.int64))


def wording(game: str) -> str:
    """File of a game's sentences, below the resources."""
    return f"prompts/{game.lower()}.yaml"


def read(resources: Path, game: str, prompt_set: str) -> dict[str, str]:
    """The sentence of every action name of `game`.

    Raises PipelineError: no file for the game, unreadable YAML, unknown prompt set, a sentence that
    is empty or occurs twice.
    """
    path = resources / wording(game)
    if not path.is_file():
        raise PipelineError(f"{path}: no prompts for {game!r}; write one sentence per action")
    try:
        sets = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: unreadable YAML ({error}); correct the file") from None
    if not isinstance(sets, dict) or not all(isinstance(part, dict) for part in sets.values()):
        raise PipelineError(f"{path}: not a mapping of prompt sets; correct the file")
    if prompt_set not in sets:
        raise PipelineError(f"{path}: {unknown_name('prompt set', prompt_set, list(sets))}")
    sentences = {str(action): _clean(text) for action, text in sets[prompt_set].items()}
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


def _clean(text: object) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""
