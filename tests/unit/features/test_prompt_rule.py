"""Sentences for torques: levels of equal width, a sentence for every action, short enough."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from configurations import CONFIG
from robots import RESOURCES, config, robot

from pipeline.config.load import load
from pipeline.environments.action_space import Actions, ActionSpace
from pipeline.errors import PipelineError
from pipeline.features import prompts
from pipeline.features.prompt_rule import Rule
from pipeline.features.prompts import Prompts

RULE = Rule(
    low=[-1, 0],
    high=[1, 4],
    parts=[["thigh pulls", "thigh rests", "thigh pushes"], ["leg a", "leg b", "leg c"]],
    sentence="{parts}.",
    between=", ",
)
SPACE = ActionSpace(("thigh", "leg"), continuous=True, low=(-1, 0), high=(1, 4))
WORDS: dict[str, Any] = {
    "sentence": "{parts}.",
    "part": "{joint} {level}",
    "between": ", ",
    "levels": {3: ["pulls", "rests", "pushes"]},
    "names": {"leg": "shin"},
}


def vectors(*rows: tuple[float, float]) -> Actions:
    return np.array(rows, np.float32)


def written(tmp_path: Path, prompt_set: str, actions: Actions, **words: Any) -> Prompts:
    (tmp_path / "prompts").mkdir(exist_ok=True)
    sets = {"original": {**WORDS, **words}}
    (tmp_path / "prompts/mujoco.yaml").write_text(yaml.safe_dump(sets))
    text = prompts.make(tmp_path, config(action_levels=3), prompt_set, SPACE, actions)
    (tmp_path / "p.json").write_text(text)
    return Prompts.read(tmp_path / "p.json")


def test_levels_are_of_equal_width_between_the_bounds() -> None:
    thigh = np.array([-1, -0.34, -0.33, 0, 0.33, 0.34, 1, 1.00001], np.float32)
    level = RULE.level(np.stack([thigh, np.full(8, 2, np.float32)], axis=1))
    assert level[:, 0].tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert level[:, 1].tolist() == [1] * 8


def test_sentences_say_which_joint_gets_which_torque() -> None:
    said, which = RULE.say(vectors((0.9, 0.1), (-0.9, 4), (0.8, 0), (0, 2)))
    assert said == ["Thigh pushes, leg a.", "Thigh pulls, leg c.", "Thigh rests, leg b."]
    assert which.tolist() == [0, 1, 0, 2]


def test_what_is_written_is_read_and_says_the_same(tmp_path: Path) -> None:
    actions = vectors((0.9, 0.1), (-0.9, 4), (0.8, 0))
    found = written(tmp_path, "original", actions)
    content = json.loads((tmp_path / "p.json").read_text())
    assert content["sentences_in_data"] == 3  # with that of no torque, which an episode begins with
    assert found.sentences[:3] == [f"Thigh {x}, shin {x}." for x in ("pulls", "rests", "pushes")]
    assert len(set(found.sentences)) == len(found.sentences) == 6
    for action, index in zip(actions, found.of(actions), strict=True):
        assert found.say(action[None]) == [found.sentences[index]]


def test_an_action_that_is_not_in_the_data_has_a_sentence_but_no_place(tmp_path: Path) -> None:
    found = written(tmp_path, "original", vectors((0.9, 0.1)))
    new = vectors((-0.9, 2))
    assert found.say(new) == ["Thigh pulls, shin rests."]
    assert found.say(new)[0] not in found.sentences
    with pytest.raises(
        PipelineError, match=r"'Thigh pulls, shin rests\.' is not among the prompts"
    ):
        found.of(new)


def test_without_prompts_all_actions_share_a_sentence(tmp_path: Path) -> None:
    found = written(tmp_path, prompts.NO_PROMPTS, vectors((0.9, 0.1), (-0.9, 4)))
    assert found.sentences == [prompts.SILENCE]
    assert found.of(vectors((1, 1), (0, 0))).tolist() == [0, 0]


@pytest.mark.parametrize("name", ["hopper", "halfcheetah", "walker2d", "ant"])
def test_shipped_words(name: str) -> None:
    """Every set, as many levels as there are words for; each level is said in another way."""
    space = robot(config(name)).actions
    everywhere = set()
    for prompt_set in prompts.PROMPT_SETS:
        for levels in (3, 5, 7):
            environment = config(name, action_levels=levels)
            zero = space.start()[None]
            made = json.loads(prompts.make(RESOURCES, environment, prompt_set, space, zero))
            assert len(made["sentences"]) == levels
            everywhere.update(made["sentences"][:1])
    assert len(everywhere) == 6  # 5 and 7 levels share the lowest


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ({"between": None}, "no between, which"),
        ({"sentence": "Go."}, "'sentence' needs {parts}"),
        ({"part": "{joint}"}, "'part' {joint} and {level}"),
        ({"levels": {5: []}}, "no words for 3 levels; set .*action_levels to 5"),
        ({"levels": {3: ["a", "a", "b"]}}, "needs 3 different words"),
        ({"levels": 3}, "'names' and 'levels' are mappings"),
        ({"names": {"leg": "thigh"}}, "two joints are called alike"),
    ],
)
def test_bad_words(tmp_path: Path, words: dict[str, Any], cause: str) -> None:
    known = {key: value for key, value in {**WORDS, **words}.items() if value is not None}
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/mujoco.yaml").write_text(yaml.safe_dump({"original": known}))
    with pytest.raises(PipelineError, match=rf"mujoco\.yaml: original.*{cause}"):
        prompts.make(tmp_path, config(action_levels=3), "original", SPACE, vectors((0, 0)))


@pytest.mark.parametrize("change", [{"low": [0]}, {"parts": [["a"], ["a", "b"]]}, {"between": 3}])
def test_other_rules_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"sentences": ["A."], "rule": RULE.as_dict() | change}))
    with pytest.raises(PipelineError, match=r"p\.json: not a prompt file"):
        Prompts.read(path)


@pytest.mark.parametrize("name", ["config.yaml", "paper.yaml"])
def test_every_robot_s_encoder_has_room_for_its_sentences(name: str) -> None:
    settings = load(CONFIG / name)
    table = settings.tables["table2"]
    for dataset, variant in itertools.product(table.datasets, table.variants):
        features = settings.features[settings.method("more3s", variant, dataset).features]
        environment = settings.environment(dataset)
        space = robot(environment).actions
        zero = space.start()[None]
        made = json.loads(prompts.make(RESOURCES, environment, features.prompt_set, space, zero))
        words = max(len(re.findall(r"\w+|[^\w\s]", text)) for text in made["sentences"])
        # with a mark at each end
        assert words + 2 <= features.encoder.text_tokens, dataset
