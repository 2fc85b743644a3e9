"""One line for whatever is wrong in the configuration, before any job."""

from pathlib import Path

import pytest
import yaml
from configurations import CONFIG, copied, edit, lay, message

from pipeline.config.load import load
from pipeline.config.schema import TrainingConfig
from pipeline.errors import PipelineError

NEW = len(yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))["settings"])
"""Where among the settings the entries of a test come."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


def test_json_of_a_stage_names_the_key() -> None:
    with pytest.raises(PipelineError, match=r"TrainingConfig: step: unknown key 'step'.*'steps'"):
        TrainingConfig.from_json('{"step": 3}')


@pytest.mark.parametrize(
    ("file", "changes", "expected"),
    [
        (
            "variants/no_memory.yaml",
            {"policy": {"memroy_length": 0}},
            r"config/variants/no_memory.yaml: policy.memroy_length: unknown key 'memroy_length' "
            r"\(did you mean 'memory_length'\?\); allowed: .*width",
        ),
        (
            "variants/no_memory.yaml",
            {"polcy": {}},
            r"config/variants/no_memory.yaml: unknown key 'polcy' .*'policy'",
        ),
        (
            "variants/no_memory.yaml",
            {"method": "more3s"},
            r"config/variants/no_memory.yaml: unknown key 'method'",
        ),
        (
            "variants/no_memory.yaml",
            {"features": "compct"},
            r"config/variants/no_memory.yaml: unknown features 'compct' .*'compact'",
        ),
        (
            "variants/no_memory.yaml",
            {"policy": {"memory_length": -1}},
            r"config/variants/no_memory.yaml: policy.memory_length: .*greater than or equal to 0",
        ),
        (
            "config.yaml",
            {"settings": [{"policy": {"heads": 3}}]},
            r"tables.components: more3s, default, breakout: policy.heads: 3 heads .* width of 128",
        ),
        (
            "features/compact.yaml",
            {"encoder": {"heads": 3}},
            r"config/features/compact.yaml: encoder.heads: 3 heads cannot share a width of 128",
        ),
        (
            "config.yaml",
            {"hardware": {"processes": 5}},
            r"training.batch_size: 48 cannot be shared by 5 processes",
        ),
        (
            "config.yaml",
            {"tables": {"table2": {"variants": ["sticky"]}}},
            r"table2: more3s, sticky, \w+: evaluation.sticky_actions: 0.25; mujoco repeats no",
        ),
        (
            "config.yaml",
            {"settings": [{"evaluation": {"choose_from": [{"temperature": 1}]}}]},
            r"tables.\w+: \w+, \w+, hopper\w+: evaluation.choose_from: continuous actions are",
        ),
        (
            "config.yaml",
            {"tables": {"games": {"timed": True}}},
            r"tables.games.timed: four_games is of several games",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"kind": "pretraining"}}},
            r"table1.kind: .* decision_transformer reads pixels; choose another",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"setting": "{features.prompt_set}"}}},
            r"table1.setting: unknown setting 'features'; allowed: evaluation, language_model",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"seeds": [0, 1, 0]}}},
            r"tables.table1.seeds: .*0 is listed twice",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"seeds": [-1]}}},
            r"tables.table1.seeds.0: .*greater than or equal to 0",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"seeds": [20_240_501]}}},
            r"tables.table1.seeds.0: .*less than or equal to 2147482",
        ),
        (
            "config.yaml",
            {"settings": [{"evaluation": {"first_seed": 2**31 - 1000}}]},
            r"tables.\w+: more3s, default, \w+: evaluation: seed 2: .*2,147,484,648 and more; "
            r"environments take 0 to 2,147,483,647; allowed: seeds from 0 to 0 with",
        ),
        (
            "config.yaml",
            {"settings": [{"evaluation": {"first_seed": 2**31}}]},
            rf"settings\[{NEW}\]: evaluation.first_seed: .*less than or equal to 2147483647",
        ),
        (
            "features/compact.yaml",
            {"encoder": {"seed": 2**64}},
            r"features/compact.yaml: encoder.seed: .*less than or equal to 2147483647",
        ),
        (
            "environments/pong.yaml",
            {"max_noops": 10**15},
            r"environments/pong.yaml: max_noops: .*less than or equal to 10000",
        ),
        (
            "environments/pong.yaml",
            {"frame_skip": 10**15},
            r"environments/pong.yaml: frame_skip: .*less than or equal to 1000",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"beside": ["more3s"]}}},
            r"tables.table1: .*\('more3s', 'default'\) is listed twice",
        ),
        (
            "config.yaml",
            {"settings": [{"training": {"betas": [2.0, 0.9]}}]},
            rf"config/config.yaml: settings\[{NEW}\]: training.betas.0: .*less than 1",
        ),
        (
            "config.yaml",
            {"sweep": {"targets": [float("nan")]}},
            r"sweep.targets.0: .*finite number",
        ),
        (
            "features/compact.yaml",
            {"detector": {"name": "fast_rcn"}},
            r"config/features/compact.yaml: unknown detector 'fast_rcn' .*'fast_rcnn'",
        ),
        (
            "features/compact.yaml",
            {"encoder": {"name": "bert"}},
            r"config/features/compact.yaml: unknown encoder 'bert' .*; allowed: lxmert",
        ),
        (
            "features/compact.yaml",
            {"encoder": {"widht": 8}},
            r"config/features/compact.yaml: encoder.widht: .*'width'",
        ),
        (
            "features/compact.yaml",
            {"prompt_set": "poetic"},
            r"config/features/compact.yaml: prompt_set: .*'synonym', 'contextual' or 'none'",
        ),
        (
            "variants/no_memory.yaml",
            {"features": {"prompt_set": "poetic"}},
            r"config/variants/no_memory.yaml: features: prompt_set: .*'original'",
        ),
        (
            "variants/no_image.yaml",
            {"features": {"detector": {"name": "no_regons"}}},
            r"config/features/.*.yaml: unknown detector 'no_regons' .*'no_regions'",
        ),
        (
            "variants/no_memory.yaml",
            {"language_model": "python_dcs"},
            r"config/variants/no_memory.yaml: unknown language model 'python_dcs' .*'python_docs'",
        ),
        (
            "variants/pretrained_gpt.yaml",
            {"policy": {"width": 64}},
            r"config/config.yaml: tables.figure3: more3s, pretrained_gpt, breakout: policy.width "
            r"is 64, language model python_docs has 128",
        ),
        (
            "language_models/python_docs.yaml",
            {"source": "python_dcs"},
            r"config/language_models/python_docs.yaml: unknown text source 'python_dcs'",
        ),
        (
            "features/a-b.yaml",
            {"prompt_set": "original"},
            r"config/features/a-b.yaml: a name of features must not contain '-'",
        ),
        (
            "datasets/breakout.yaml",
            {"environment": "brekout"},
            r"config/datasets/breakout.yaml: unknown environment 'brekout' .*'breakout'",
        ),
        (
            "datasets/breakout.yaml",
            {"source": "recordd"},
            r"config/datasets/breakout.yaml: unknown source 'recordd' .*; allowed: .*scripted",
        ),
        (
            "environments/breakout.yaml",
            {"family": "atri"},
            r"config/environments/breakout.yaml: unknown environment family 'atri' .*'atari'",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"datasets": ["brekout"]}}},
            r"config/config.yaml: tables.table1: unknown dataset 'brekout' .*pong",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"variants": ["no_memry"]}}},
            r"config/config.yaml: tables.table1: unknown variant 'no_memry' .*'no_memory'",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"methods": ["more4s"]}}},
            r"config/config.yaml: tables.table1: unknown method 'more4s' .*'more3s'",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"seeds": []}}},
            r"config/config.yaml: tables.table1.seeds: List should have at least 1 item",
        ),
        (
            "config.yaml",
            {"tables": {"table1": {"kind": "comparision"}}},
            r"tables.table1: unknown kind of table 'comparision' .*'comparison'.*ablation",
        ),
        (
            "config.yaml",
            {"tables": {"$(id)": {"datasets": ["pong"], "methods": ["more3s"], "seeds": [0]}}},
            r"config/config.yaml: tables: '\$\(id\)' cannot be a table's name; a name has letters",
        ),
        (
            "config.yaml",
            {"tables": {"table3": {"setting": "W = {policy.widht}"}}},
            r"config/config.yaml: tables.table3.setting: unknown setting 'widht' .*'width'",
        ),
        (
            "tables/table3.yaml",
            {"clam": "it helps."},
            r"config/tables/table3.yaml: unknown key 'clam' \(did you mean 'claim'\?\)",
        ),
        (
            "config.yaml",
            {"settings": [{}, {"where": {"method": "transformer"}}]},
            rf"config.yaml: settings\[{NEW + 1}\].where: unknown method 'transformer'.*more3s",
        ),
        (
            "config.yaml",
            {"settings": [{"where": {"method": 3}, "policy": {"width": 8}}]},
            rf"config.yaml: settings\[{NEW}\].where: method: .*list",
        ),
        (
            "config.yaml",
            {"settings": [{"where": {"method": "more3s"}, "training": {"step": 3}}]},
            rf"config/config.yaml: settings\[{NEW}\]: training.step: .*'steps'",
        ),
        (
            "config.yaml",
            {"settings": [{"features": "compct"}]},
            rf"config/config.yaml: settings\[{NEW}\]: unknown features 'compct'.*'compact'",
        ),
        (
            "config.yaml",
            {"settings": [{"features": {"prompt_set": "poetic"}}]},
            rf"config/config.yaml: settings\[{NEW}\]: features: prompt_set: .*'original'",
        ),
        (
            "config.yaml",
            {"settings": [{"language_model": "python_dcs"}]},
            rf"config.yaml: settings\[{NEW}\]: unknown language model 'python_dcs'.*python_docs",
        ),
        (
            "config.yaml",
            {"settings": [{"trainig": {"steps": 3}}]},
            rf"config.yaml: settings\[{NEW}\]: unknown key 'trainig' \(did you mean 'training'"
            r"\?\); allowed: evaluation, .*, where",
        ),
        (
            "config.yaml",
            {"settings": [{"where": {"family": "atary"}}]},
            rf"config/config.yaml: settings\[{NEW}\].where: unknown family 'atary' .*'atari'",
        ),
        (
            "config.yaml",
            {"settings": [{"where": {"environment": ["pong", "pung"]}}]},
            rf"config/config.yaml: settings\[{NEW}\].where: unknown environment 'pung' .*'pong'",
        ),
        (
            "config.yaml",
            {"settings": [{"where": {"dataset": "qbrt"}}]},
            rf"config/config.yaml: settings\[{NEW}\].where: unknown dataset 'qbrt' .*'qbert'",
        ),
        (
            "config.yaml",
            {"settings": [{"where": {"game": "pong"}}]},
            rf"settings\[{NEW}\].where: game: .*allowed: dataset, environment, family, method",
        ),
        (
            "config.yaml",
            {"settings": [{"where": {"method": []}}]},
            rf"config.yaml: settings\[{NEW}\].where: method: List should have at least 1 item",
        ),
        (
            "config.yaml",
            {"settings": [{"where": "pong"}]},
            rf"config/config.yaml: settings\[{NEW}\].where: .*valid dictionary",
        ),
        (
            "config.yaml",
            {"settings": ["more3s"]},
            rf"config/config.yaml: settings\[{NEW}\]: expected keys and values, found str",
        ),
        (
            "config.yaml",
            {"settings": [{"where": {"environment": "pong"}, "policy": {"observation": "states"}}]},
            r"tables.mixed: more3s, default, pong_mixed: unknown observation 'states'.*embeddings",
        ),
        (
            "config.yaml",
            {"defaults": {"features": "compact"}},
            r"config/config.yaml: unknown key 'defaults'; allowed: .*settings",
        ),
        (
            "config.yaml",
            {"settings": [{"where": {"method": "mbop"}, "policy": {"planner": {"beams": 4}}}]},
            r"settings\[\d+\]: policy.planner.beams: unknown key 'beams'",
        ),
        (
            "config.yaml",
            {"settings": [{"policy": {"planner": {"beams": 0}}}]},
            r"settings\[\d+\]: policy.planner.beams",
        ),
        ("config.yaml", {"tabels": {}}, r"config/config.yaml: unknown key 'tabels' .*'tables'"),
    ],
)
def test_mistakes(folder: Path, file: str, changes: dict[str, object], expected: str) -> None:
    if isinstance(entries := changes.get("settings"), list):
        lay(folder / file, *entries)
    else:
        edit(folder / file, **changes)
    with pytest.raises(PipelineError, match=expected):
        load(folder / "config.yaml")
    assert message(folder / "config.yaml")


def test_each_method_takes_its_own_keys_of_a_section_that_several_have(folder: Path) -> None:
    beams = {"policy": {"planner": {"beams": 4}}}
    lay(folder / "config.yaml", {"where": {"method": "trajectory_transformer"}, **beams})
    (folder / "variants" / "few_beams.yaml").write_text(yaml.safe_dump(beams))
    config = load(folder / "config.yaml")
    planner = config.method("trajectory_transformer", "few_beams").policy.model_dump()["planner"]
    assert planner["beams"] == 4
    assert "beams" not in config.method("mbop", "few_beams").policy.model_dump()["planner"]


def test_missing_key_is_named(folder: Path) -> None:
    (folder / "datasets" / "breakout.yaml").write_text("source: recorded\n")
    expected = "config/datasets/breakout.yaml: environment: this key is required"
    assert message(folder / "config.yaml") == expected


def test_published_artefacts_are_those_of_the_table(folder: Path) -> None:
    full = folder / "features" / "lxmert_full.yaml"
    edit(full, encoder={"published": "lxmert_bas"})
    assert "lxmert_full.yaml: encoder.published: unknown artefact" in message(
        folder / "config.yaml"
    )
    assert "did you mean 'lxmert_base'?" in message(folder / "config.yaml")
    edit(full, encoder={"published": "lxmert_base", "box_frequencies": 6})
    assert "box_frequencies is 6; published weights take" in message(folder / "config.yaml")
    edit(full, encoder={"box_frequencies": 0}, detector={"name": "fast_rcnn"})
    assert "fast_rcnn takes no published weights" in message(folder / "config.yaml")
    edit(full, detector={"name": "faster_rcnn_vg"})
    edit(folder / "language_models" / "gpt2_6.yaml", published="gpt3")
    assert "gpt2_6.yaml: published: unknown artefact" in message(folder / "config.yaml")
    edit(folder / "language_models" / "gpt2_6.yaml", published="gpt2")
    edit(folder / "config.yaml", unverified_artefacts=["lxmert"])
    assert "unverified_artefacts: unknown artefact" in message(folder / "config.yaml")
    edit(folder / "config.yaml", unverified_artefacts=["lxmert_base"], artefacts_dir="brought")
    assert load(folder / "config.yaml").artefacts_dir == "brought"
    edit(folder / "config.yaml", published={"net": {}})
    assert "unknown key 'published'" in message(folder / "config.yaml")
