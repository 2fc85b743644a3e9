"""Prompts: every action of every game has its own short sentence; bad names and files are named."""

import json
from pathlib import Path

import ale_py
import pytest
import yaml

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig
from pipeline.errors import PipelineError
from pipeline.features import prompts

ROOT = Path(__file__).parents[3]
RESOURCES = ROOT / "resources"
GAMES = ["breakout", "pong", "qbert", "seaquest", "catch"]
CONSOLE = "Console"
"""Sentences that say what any game's actions do to the stick and the button."""


@pytest.mark.parametrize("game", GAMES)
def test_every_action_has_its_own_sentence_in_every_set(game: str) -> None:
    settings = yaml.safe_load((ROOT / f"config/environments/{game}.yaml").read_text())
    meanings = environments.make(EnvironmentConfig.model_validate(settings)).actions.names
    for prompt_set in prompts.PROMPT_SETS:
        sentences = prompts.read(RESOURCES, game.capitalize(), prompt_set)
        assert set(sentences) == set(meanings)
        assert len(set(sentences.values())) == len(meanings)
        # a word piece per word and mark, and a few for the one long word of a set
        assert (
            max(
                len(text.replace("?", " ?").replace(".", " .").split())
                for text in sentences.values()
            )
            <= 18
        )


def test_a_game_without_sentences_of_its_own_has_those_of_the_console() -> None:
    joint = ale_py.Action.__members__
    for prompt_set in prompts.PROMPT_SETS:
        sentences = prompts.read(RESOURCES, CONSOLE, prompt_set)
        assert sorted(sentences) == sorted(joint)
        assert len(set(sentences.values())) == len(joint)
        assert max(len(text.replace("?", " ?").split()) + 1 for text in sentences.values()) <= 18


def test_sets_differ() -> None:
    for game in [*GAMES, CONSOLE]:
        sets = [prompts.read(RESOURCES, game, name) for name in prompts.PROMPT_SETS]
        for action in sets[0]:
            assert len({part[action] for part in sets}) == 3


def test_json() -> None:
    text = prompts.as_json(RESOURCES, "Pong", "original", ("LEFT", "NOOP", "LEFT"))
    content = json.loads(text)
    assert content["action_prompt"] == [0, 1, 0]
    assert content["sentences"][0] == "Move the right paddle down."
    assert (content["game"], content["prompt_set"]) == ("Pong", "original")


def test_without_prompts_all_actions_share_a_sentence() -> None:
    content = json.loads(prompts.as_json(RESOURCES, "Pong", prompts.NO_PROMPTS, ("LEFT", "NOOP")))
    assert content["sentences"] == [prompts.SILENCE]
    assert content["action_prompt"] == [0, 0]


def test_bad_names() -> None:
    with pytest.raises(PipelineError, match=r"tetris\.yaml: no prompts for 'Tetris'"):
        prompts.read(RESOURCES, "Tetris", "original")
    with pytest.raises(PipelineError, match=r"'poem'; allowed: contextual, original, synonym"):
        prompts.read(RESOURCES, "Pong", "poem")
    with pytest.raises(PipelineError, match="no sentence for UPFIRE"):
        prompts.as_json(RESOURCES, "Pong", "original", ("NOOP", "UPFIRE"))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a: [b", "not valid YAML"),
        ("- a", "not a mapping"),
        ("original: {NOOP: wait, FIRE: wait}", "empty or occurs twice"),
        ("original: {NOOP: }", "sentence of NOOP is empty"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/pong.yaml").write_text(text)
    with pytest.raises(PipelineError, match=rf"pong\.yaml: .*{cause}"):
        prompts.read(tmp_path, "Pong", "original")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    meanings = ("NOOP", "FIRE", "RIGHT", "LEFT")
    path = tmp_path / "prompts.json"
    path.write_text(prompts.as_json(RESOURCES, "Breakout", "original", meanings))
    content, found = json.loads(path.read_text()), prompts.Prompts.read(path)
    assert found.sentences == content["sentences"]
    assert found.action_prompt.tolist() == content["action_prompt"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"sentences": ["a"]}',
        '{"sentences": [], "action_prompt": []}',
        '{"sentences": ["a"], "action_prompt": [1]}',
        '{"sentences": ["a"], "action_prompt": ["a"]}',
        '{"sentences": [3], "action_prompt": [0]}',
        '{"sentences": "a", "action_prompt": [0]}',
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prompts.json"
    with pytest.raises(PipelineError, match=r"prompts\.json: missing"):
        prompts.Prompts.read(path)
    path.write_text(text)
    with pytest.raises(PipelineError, match=r"prompts\.json: not .*; run write_prompts again"):
        prompts.Prompts.read(path)
