"""Methods that cannot be trained on a data set, and data sets that do not say what their source
reads, are refused when the configuration is read.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from configurations import copied, edit, lay, message, one_table

from pipeline.config import plugins
from pipeline.config.load import load
from pipeline.config.schema import DatasetConfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.mark.parametrize(
    ("method", "dataset", "policy", "said"),
    [
        ("td3_bc", "catch", {}, "Catch: its actions are discrete, and this method is for cont"),
        ("bc_mlp", "catch", {}, "Catch: its actions are discrete"),
        ("mbop", "catch", {}, "Catch: its actions are discrete"),
        ("tap", "catch", {}, "Catch: its actions are discrete"),
        ("diffuser", "catch", {}, "Catch: its actions are discrete"),
        ("cql", "hopper_medium", {}, "Hopper: its actions are continuous, and this method is for"),
        ("jowa_pixels", "hopper_medium", {}, "Hopper: its actions are continuous"),
        ("multi_game_dt", "hopper_medium", {}, "Hopper: its actions are continuous"),
        (
            "more3s",
            "hopper_medium",
            {"action_readout": "nearest_prompt"},
            "policy.action_readout: nearest_prompt chooses among the prompts of discrete actions",
        ),
        (
            "more3s",
            "hopper_medium",
            {"world_model": {"trained": True}},
            "policy.world_model: Hopper has continuous actions or state vectors",
        ),
        (
            "elastic_dt",
            "four_games",
            {"observation": "embeddings"},
            "policy.observation: elastic_dt reads embeddings of one game only; use pixels here",
        ),
        (
            "decision_transformer",
            "pong",
            {"observation": "states"},
            "policy.observation: states: Pong has no state vectors; choose ",
        ),
        (
            "more3s",
            "catch",
            {"observation": "embeddings_and_states"},
            "policy.observation: embeddings_and_states: Catch has no state vectors",
        ),
        ("starformer", "pong", {"patch_size": 13}, "policy.patch_size: 13 does not divide 84 by"),
        (
            "multi_game_dt",
            "pong",
            {"patch_size": 13, "pictures": "squares"},
            "policy.patch_size: 13 does not divide 84 by 84 pixels; take one that does, such as 6",
        ),
        (
            "starformer",
            "pong",
            {"local_width": 30, "local_heads": 4},
            "policy.local_heads: 4 heads cannot share a local_width of 30; make the width a mult",
        ),
        (
            "cql_continuous",
            "hopper_medium",
            {"behaviour_only": True, "behaviour_steps": 0},
            "policy.behaviour_only: with behaviour_steps 0 nothing would be trained; raise policy",
        ),
    ],
)
def test_a_method_fits_its_game(
    folder: Path, method: str, dataset: str, policy: dict[str, Any], said: str
) -> None:
    lay(folder / "config.yaml", {"where": {"method": method}, "policy": policy})
    one_table(folder / "config.yaml", datasets=[dataset], methods=[method], seeds=[0])
    expected = f"config/config.yaml: tables.t: {method}, default, {dataset}: {said}"
    assert message(folder / "config.yaml").startswith(expected)


def test_what_is_not_used_may_be_anything(folder: Path) -> None:
    """Squares of pictures where state vectors are observed, a method for robots beside a game's."""
    lay(folder / "config.yaml", {"policy": {"patch_size": 13, "pictures": "whole"}})
    robots = {"methods": ["starformer", "td3_bc"], "datasets": ["hopper_medium"], "seeds": [0]}
    one_table(folder / "config.yaml", **robots)
    assert load(folder / "config.yaml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"source": "recorded"}, "file: source 'recorded' reads one; say where below resources/"),
        ({"source": "recorded_states"}, "file: source 'recorded_states' reads one"),
        ({"source": "hdf5"}, "file: source 'hdf5' reads one; say where below resources/ it lies"),
        ({"source": "minari"}, "file: source 'minari' reads one; .*, or give a 'name' that is dow"),
        (
            {"source": "recorded", "name": "foo"},
            "name: source 'recorded' downloads nothing; give a 'file' instead",
        ),
        (
            {"source": "recorded", "file": "a.npz", "name": "foo"},
            "name: source 'recorded' does not read it; remove it, or choose another source",
        ),
        (
            {"source": "recorded", "file": "a.npz", "clip_actions": True},
            "clip_actions: source 'recorded' does not read it",
        ),
        (
            {"source": "recorded_states", "file": "a.npz", "max_epsilon": 0.5},
            "max_epsilon: source 'recorded_states' does not read it",
        ),
        *(
            ({"source": one, "file": ["a", "b"]}, f"file: source '{one}' reads one, and 2 are na")
            for one in ("dqn_replay", "hdf5", "minari")
        ),
        ({"source": "scripted"}, "episodes: source 'scripted' plays 0; choose 1 to 1,000"),
        ({"source": "scripted", "episodes": 1001}, "episodes: source 'scripted' plays 1001"),
        (
            {"source": "scripted", "episodes": 3, "max_steps": 9},
            "max_steps: source 'scripted' does not read it",
        ),
        (
            {"source": "dqn_replay", "file": "a", "checkpoints": [9, 2]},
            "checkpoints: .*9 comes after 2; name the first one first",
        ),
        (
            {"source": "dqn_replay", "file": "a", "checkpoints": [-1, 2]},
            "checkpoints.0: .*greater than or equal to 0",
        ),
    ],
)
def test_a_data_set_says_what_its_source_reads(
    folder: Path, content: dict[str, Any], said: str
) -> None:
    whole = {"environment": "catch", **content}
    (folder / "datasets" / "mine.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    found = message(folder / "config.yaml")
    assert re.match(f"config/datasets/mine.yaml: {said}", found), found


def test_a_source_of_another_may_read_all_but_download_only_what_it_can(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "read_by", lambda source: None)
    content = {"environment": "catch", "source": "recorded", "clip_actions": True}
    path = edit(folder / "datasets" / "mine.yaml", **content)
    assert load(folder / "config.yaml").datasets["mine"].clip_actions
    edit(path, name="foo")
    expected = "mine.yaml: name: source 'recorded' downloads nothing; give a 'file' instead"
    assert message(folder / "config.yaml").endswith(expected)


def test_every_source_names_keys_of_a_data_set() -> None:
    for source in plugins.names("data.sources"):
        assert (reads := plugins.read_by(source)), source
        assert set(reads) <= set(DatasetConfig.model_fields)
        assert plugins.downloads(source) == ("name" in reads)
