"""The configuration: merging, and one line for whatever is wrong in it, before any job."""

import shutil
from pathlib import Path

import pytest
import yaml

from pipeline import config_files
from pipeline.config import EvaluationConfig, MethodConfig, TrainingConfig
from pipeline.config_files import load
from pipeline.errors import PipelineError
from pipeline.experiment import Config
from pipeline.validation import merge

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONFIG, tmp_path / "config"))


def edit(path: Path, **changes: object) -> Path:
    content = yaml.safe_load(path.read_text()) if path.exists() else {}
    path.write_text(yaml.safe_dump(merge(content, changes)))
    return path


def message(path: Path) -> str:
    with pytest.raises(PipelineError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_shipped_configurations_load() -> None:
    config = load(CONFIG / "config.yaml")
    assert config.scale == "laptop"
    assert set(config.tables["table1"].datasets) == {"breakout", "pong", "qbert", "seaquest"}
    assert load(CONFIG / "toy.yaml").scale == "toy"
    assert load(CONFIG / "paper.yaml").scale == "paper"


def test_a_data_set_may_show_another_screen() -> None:
    config = load(CONFIG / "paper.yaml")
    assert config.environment("breakout").screen == "maximum"
    shown = config.environment("breakout_dqn_replay")
    assert shown == config.environment("breakout").model_copy(update={"screen": "grey_84"})


def test_what_a_source_reads() -> None:
    datasets = load(CONFIG / "config.yaml").datasets
    assert datasets["catch"].files == []
    assert datasets["hopper_medium_d4rl"].files == ["d4rl/hopper_medium-v2.hdf5"]
    assert datasets["breakout_minari"].files == ["atari/breakout/expert-v0"]
    assert len(datasets["hopper_medium_expert"].files) == 2


def test_toy_replaces_the_default_configuration() -> None:
    toy = load(CONFIG / "toy.yaml")
    assert toy.tables["table1"].datasets == ["catch"]
    assert toy.method("more3s").training.steps < 100


def test_variant_overrides_method_overrides_defaults(folder: Path) -> None:
    edit(
        folder / "config.yaml",
        defaults={"training": {"steps": 10, "warmup_steps": 3}, "policy": {"width": 16}},
        methods={"more3s": {"training": {"steps": 20}, "policy": {"layers": 2}}},
        tables={"figure3": {"variants": ["default"]}},  # its others need the language model's width
    )
    edit(folder / "variants" / "wide.yaml", policy={"width": 64}, features="toy")
    config = load(folder / "config.yaml")
    wide, plain = config.method("more3s", "wide"), config.method("more3s")
    assert (wide.training.steps, wide.training.warmup_steps) == (20, 3)
    assert (wide.policy.width, wide.policy.layers, wide.features) == (64, 2, "toy")
    assert (plain.policy.width, plain.features) == (16, "compact")
    assert config.method("behaviour_cloning").training.warmup_steps == 3


def test_what_differs_on_a_family_or_an_environment_is_laid_between(folder: Path) -> None:
    edit(
        folder / "config.yaml",
        defaults={"training": {"steps": 10, "batch_size": 1, "warmup_steps": 1}},
        methods={"more3s": {"training": {"batch_size": 5}}},
        overrides={
            "families": {
                "atari": {
                    "training": {"steps": 20, "batch_size": 2},
                    "evaluation": {"temperature": 0.75},
                    "methods": {"more3s": {"training": {"warmup_steps": 7}}},
                }
            },
            "environments": {
                "pong": {
                    "training": {"steps": 30},
                    "methods": {"more3s": {"features": {"prompt_set": "synonym"}}},
                }
            },
        },
    )
    edit(folder / "variants" / "wide.yaml", training={"warmup_steps": 9})
    config = load(folder / "config.yaml")
    steps = {
        (dataset, variant): (settings.steps, settings.batch_size, settings.warmup_steps)
        for dataset in ("catch", "breakout", "pong")
        for variant in ("default", "wide")
        for settings in [config.method("more3s", variant, dataset).training]
    }
    assert steps["catch", "default"] == (10, 5, 1)
    assert steps["breakout", "default"] == (20, 5, 7)  # a method's settings lie over a family's
    assert steps["breakout", "wide"] == (20, 5, 9)
    assert steps["pong", "default"] == (30, 5, 7)
    assert config.method("behaviour_cloning", dataset="pong").training.batch_size == 16
    assert config.evaluation("pong").temperature == 0.75
    assert config.evaluation("catch").temperature == config.evaluation().temperature != 0.75
    assert config.method("more3s", dataset="breakout").features == "compact"
    synonym = config.method("more3s", dataset="pong").features
    assert config.features[synonym].prompt_set == "synonym"


def test_no_memory_differs_in_one_key() -> None:
    config = load(CONFIG / "config.yaml")
    default, ablation = config.method("more3s"), config.method("more3s", "no_memory")
    assert ablation.policy.memory_length == 0
    restored = ablation.policy.model_copy(update={"memory_length": default.policy.memory_length})
    assert ablation.model_copy(update={"policy": restored}) == default


def test_every_shipped_variant_differs_from_the_default() -> None:
    config = load(CONFIG / "config.yaml")
    default = config.method("more3s")
    same = {v for v in config.variants if config.method("more3s", v) == default}
    # The other two are the default at this scale, and differ from it at the paper's.
    assert same == {"default", "half_memory", "random_gpt"}
    paper = load(CONFIG / "paper.yaml")
    assert paper.method("more3s", "half_memory").policy.memory_length == 15
    assert paper.method("more3s", "random_gpt") != paper.method("more3s")
    for path in (CONFIG / "variants").glob("*.yaml"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert len(lines) <= 5, path


def test_memory_follows_the_context(folder: Path) -> None:
    edit(folder / "config.yaml", defaults={"policy": {"context_length": 10}})
    config = load(folder / "config.yaml")
    lengths = {v: config.method("more3s", v).policy.memory_length for v in config.variants}
    assert (lengths["half_memory"], lengths["full_memory"]) == (5, 10)
    assert (lengths["double_memory"], lengths["no_memory"]) == (20, 0)


def test_what_a_variant_changes_of_the_features_names_them(folder: Path) -> None:
    config = load(folder / "config.yaml")
    synonym = config.method("more3s", "synonym_prompts").features
    assert synonym == "compact-prompt_set=synonym"
    assert config.features[synonym] == config.features["compact"].model_copy(
        update={"prompt_set": "synonym"}
    )
    alone, both = (
        config.method("more3s", v).features for v in ("random_lxmert", "pretrained_gpt_alone")
    )
    assert alone == both == "compact-encoder.pretraining_steps=0"
    assert config.features[alone].encoder.width == config.features["compact"].encoder.width


def test_features_share_what_they_do_not_change() -> None:
    config = load(CONFIG / "config.yaml")
    synonym = config.method("more3s", "synonym_prompts").features
    blind = config.method("more3s", "no_image").features
    assert config.shared(synonym, "detector") == "compact"
    assert config.shared(synonym, "detector", "prompt_set") == synonym
    assert config.shared(blind, "detector") == blind
    assert config.shared("compact", "detector", "encoder") == "compact"


def test_random_policy_is_measured_under_the_shared_protocol(folder: Path) -> None:
    edit(folder / "config.yaml", defaults={"evaluation": {"episodes": 7}})
    assert load(folder / "config.yaml").evaluation() == EvaluationConfig(
        **{**load(CONFIG / "config.yaml").evaluation().model_dump(), "episodes": 7}
    )


def test_command_line_overrides_merge() -> None:
    config = load(CONFIG / "config.yaml", {"defaults": {"training": {"steps": 5}}})
    usual = load(CONFIG / "config.yaml").method("more3s").training
    assert config.method("more3s").training == usual.model_copy(update={"steps": 5})


def test_json_is_canonical_and_round_trips() -> None:
    section = load(CONFIG / "toy.yaml").method("more3s")
    assert MethodConfig.from_json(section.as_json()) == section
    reordered = MethodConfig.model_validate(dict(reversed(section.model_dump().items())))
    assert reordered.as_json() == section.as_json()


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
            {"features": {"detector": {"name": "blnd"}}},
            r"config/features/compact.yaml: unknown detector 'blnd' .*'blind'",
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
            r"config/datasets/breakout.yaml: unknown source 'recordd' .*; allowed: .*played",
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
            {"tables": {"tabel1": {"datasets": ["pong"], "methods": ["more3s"], "seeds": [0]}}},
            r"config/config.yaml: tables: unknown table 'tabel1' .*'table1'",
        ),
        (
            "config.yaml",
            {"methods": {"transformer": {}}},
            r"config/config.yaml: methods: unknown method 'transformer'.*more3s",
        ),
        (
            "config.yaml",
            {"methods": {"more3s": {"training": {"step": 3}}}},
            r"config/config.yaml: methods.more3s: training.step: .*'steps'",
        ),
        (
            "config.yaml",
            {"defaults": {"features": "compct"}},
            r"config/config.yaml: defaults: unknown features 'compct'",
        ),
        (
            "config.yaml",
            {"overrides": {"families": {"atary": {}}}},
            r"config/config.yaml: overrides: unknown environment family 'atary' .*'atari'",
        ),
        (
            "config.yaml",
            {"overrides": {"environments": {"pung": {}}}},
            r"config/config.yaml: overrides: unknown environment 'pung' .*'pong'",
        ),
        (
            "config.yaml",
            {"overrides": {"families": {"atari": {"training": {"step": 3}}}}},
            r"config/config.yaml: overrides.atari: training.step: .*'steps'",
        ),
        (
            "config.yaml",
            {"overrides": {"environments": {"pong": {"methods": {"more4s": {}}}}}},
            r"config/config.yaml: overrides.pong: methods: unknown method 'more4s' .*'more3s'",
        ),
        (
            "config.yaml",
            {"overrides": {"game": {}}},
            r"config/config.yaml: overrides: game: .*allowed: environments, families",
        ),
        (
            "config.yaml",
            {"overrides": {"environments": {"pong": {"policy": {"observation": "states"}}}}},
            r"tables.table1: more3s, default, pong: unknown observation 'states'.*embeddings",
        ),
        ("config.yaml", {"tabels": {}}, r"config/config.yaml: unknown key 'tabels' .*'tables'"),
    ],
)
def test_mistakes(folder: Path, file: str, changes: dict[str, object], expected: str) -> None:
    edit(folder / file, **changes)
    with pytest.raises(PipelineError, match=expected):
        load(folder / "config.yaml")
    assert message(folder / "config.yaml")


def test_files_that_cannot_be_read(folder: Path) -> None:
    assert "config/nowhere.yaml: no such configuration file" in message(folder / "nowhere.yaml")
    (folder / "variants" / "broken.yaml").write_text("policy: {memory_length: 0\n")
    assert "config/variants/broken.yaml: not valid YAML" in message(folder / "config.yaml")
    (folder / "variants" / "broken.yaml").write_text("- policy\n")
    assert "expected keys and values, found list" in message(folder / "config.yaml")


def test_missing_key_is_named(folder: Path) -> None:
    (folder / "datasets" / "breakout.yaml").write_text("source: recorded\n")
    expected = "config/datasets/breakout.yaml: environment: this key is required"
    assert message(folder / "config.yaml") == expected


def test_methods_are_the_models_that_observe() -> None:
    assert {"more3s", "decision_transformer", "behaviour_cloning"} <= set(config_files.methods())
    assert config_files.observation_kinds("more3s") == ("embeddings", "embeddings_and_states")
    for method in ("decision_transformer", "decision_transformer_glu", "behaviour_cloning"):
        assert config_files.observation_kinds(method) == ("pixels", "states")
    assert config_files.observation_kind(MethodConfig(method="more3s")) == "embeddings"
    states = MethodConfig.model_validate({"method": "more3s", "policy": {"observation": "states"}})
    assert config_files.observation_kind(states) == "states"


def test_which_methods_take_a_target_return_is_read_from_source() -> None:
    taking = [method for method in config_files.methods() if config_files.uses_returns(method)]
    assert set(taking) == {"more3s", "decision_transformer", "decision_transformer_glu"}


def test_every_field_is_reachable_from_its_schema() -> None:
    assert {"scale", "methods", "tables"} <= set(Config.model_fields)


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


def test_a_difference_that_is_none_names_nothing() -> None:
    """One variant takes the published weights away at the paper's scale, the steps at another."""
    paper = load(CONFIG / "paper.yaml")
    features = paper.method("more3s", "random_lxmert").features
    assert features == "lxmert_full-encoder.published=None"
    assert paper.features[features].weights.endswith("lxmert random")
    assert paper.features["lxmert_full"].weights == (
        "faster_rcnn_vg published (frcnn_vg), lxmert published (lxmert_base)"
    )
    blind = paper.features[paper.method("more3s", "no_image").features]
    assert (blind.detector.name, blind.detector.published) == ("blind", None)
    gpt2 = paper.method("more3s", "gpt2_6")
    assert paper.language_models[str(gpt2.language_model)].published == "gpt2"
    assert (gpt2.policy.width, gpt2.policy.layers, gpt2.policy.heads) == (768, 6, 12)
