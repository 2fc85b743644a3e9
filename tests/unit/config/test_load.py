"""The configuration: what its files and their differences come to."""

import re
from pathlib import Path

import pytest
from configurations import CONFIG, copied, edit, lay

from pipeline.config import plugins
from pipeline.config.experiment import Config
from pipeline.config.load import load
from pipeline.config.methods import settings_class
from pipeline.config.schema import EvaluationConfig, MethodConfig, TableConfig
from pipeline.errors import PipelineError

STEPS = {"training": {"steps": 7}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


def with_settings(folder: Path, *entries: dict[str, object]) -> Config:
    """A configuration with these settings and no tables."""
    return load(edit(folder / "alone.yaml", scale="test", settings=list(entries), tables={}))


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


def test_a_variant_is_laid_over_all_settings(folder: Path) -> None:
    edit(folder / "variants" / "wide.yaml", policy={"width": 64}, features="toy")
    config = with_settings(
        folder,
        {"training": {"steps": 10, "warmup_steps": 3}, "policy": {"width": 16}},
        {"where": {"method": "more3s"}, "training": {"steps": 20}, "policy": {"layers": 2}},
    )
    wide, plain = config.method("more3s", "wide"), config.method("more3s")
    assert (wide.training.steps, wide.training.warmup_steps) == (20, 3)
    assert (wide.policy.width, wide.policy.layers, wide.features) == (64, 2, "toy")
    assert (plain.policy.width, plain.features) == (16, "compact")
    assert config.method("behaviour_cloning").training.warmup_steps == 3


def test_later_entries_are_laid_over_earlier_ones_where_they_hold(folder: Path) -> None:
    edit(folder / "variants" / "wide.yaml", training={"warmup_steps": 9})
    config = with_settings(
        folder,
        {"training": {"steps": 10, "batch_size": 1, "warmup_steps": 1}},
        {
            "where": {"family": ["atari", "mujoco"]},
            "training": {"steps": 20, "batch_size": 2},
            "evaluation": {"temperature": 0.75},
        },
        {"where": {"environment": "pong"}, "training": {"steps": 30}},
        {"where": {"dataset": "pong_minari"}, "training": {"steps": 40}},
        {"where": {"method": "more3s"}, "training": {"batch_size": 5}},
        {
            "where": {"family": "atari", "method": ["more3s", "behaviour_cloning"]},
            "training": {"warmup_steps": 7},
            "evaluation": {"temperature": 0.5},
        },
        {
            "where": {"environment": "pong", "method": "more3s"},
            "features": {"prompt_set": "synonym"},
        },
    )

    def of(method: str, dataset: str | None, variant: str = "default") -> tuple[int, int, int]:
        settings = config.method(method, variant, dataset).training
        return settings.steps, settings.batch_size, settings.warmup_steps

    assert of("more3s", "catch") == of("more3s", None) == (10, 5, 1)
    assert of("more3s", "breakout") == (20, 5, 7)
    assert of("more3s", "breakout", "wide") == (20, 5, 9)
    assert of("more3s", "hopper_medium") == (20, 5, 1)
    assert of("more3s", "pong") == (30, 5, 7)
    assert of("more3s", "pong_minari") == (40, 5, 7)
    assert of("behaviour_cloning", "pong") == (30, 2, 7)
    assert of("decision_transformer", "pong") == (30, 2, 1)
    assert config.method("more3s", dataset="breakout").features == "compact"
    synonym = config.method("more3s", dataset="pong").features
    assert config.features[synonym].prompt_set == "synonym"
    assert config.method("more3s", dataset="pong").evaluation.temperature == 0.5
    # The random policy is no method: it plays under what is for all of them.
    assert config.evaluation("pong").temperature == 0.75
    assert config.evaluation("catch") == config.evaluation() == EvaluationConfig()


def test_the_order_of_entries_decides_not_how_much_they_say(folder: Path) -> None:
    general, single = {"training": {"steps": 2}}, {"where": {"method": "more3s"}, **STEPS}
    path = folder / "toy.yaml"
    before = load(path).method("more3s", dataset="catch").training
    for last, steps in ((general, 2), (single, 7)):
        lay(path, general, single, last)
        training = load(path).method("more3s", dataset="catch").training
        assert training == before.model_copy(update={"steps": steps})


def test_no_memory_differs_in_one_key() -> None:
    config = load(CONFIG / "config.yaml")
    default, ablation = config.method("more3s"), config.method("more3s", "no_memory")
    assert ablation.policy.memory_length == 0
    restored = ablation.policy.model_copy(update={"memory_length": default.policy.memory_length})
    assert ablation.model_copy(update={"policy": restored}) == default


def test_every_shipped_variant_differs_from_the_default() -> None:
    config = load(CONFIG / "config.yaml")
    methods = plugins.names("methods")

    def changes(variant: str) -> bool:
        """Of any method: of ours, or of one that it is for."""
        return any(config.method(name, variant) != config.method(name) for name in methods)

    same = {v for v in config.variants if not changes(v)}
    # These two are the default at this scale, and differ from it at the paper's; the last one
    # differs where a robot's settings have a warm start.
    assert same == {"default", "half_memory", "random_gpt", "no_warm_start"}
    cold, warm = (
        config.method("diffuser", variant, "hopper_medium").policy.planner.warm_start
        for variant in ("no_warm_start", "default")
    )
    assert cold == 0 < warm
    paper = load(CONFIG / "paper.yaml")
    assert paper.method("more3s", "half_memory").policy.memory_length == 15
    assert paper.method("more3s", "random_gpt") != paper.method("more3s")
    for path in (CONFIG / "variants").glob("*.yaml"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert len(lines) <= 5, path


def test_memory_follows_the_context(folder: Path) -> None:
    lay(folder / "config.yaml", {"policy": {"context_length": 10}})
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


def test_a_long_difference_gives_a_short_name(folder: Path, tmp_path: Path) -> None:
    """All its keys count, though not all of them are shown; and files can have the name."""
    encoder = {"width": 64, "heads": 8, "language_layers": 3, "relationship_layers": 2}
    encoder |= {"cross_layers": 3, "text_tokens": 12, "seed": 5, "pretraining_steps": 7}
    changes = {"encoder": encoder, "detector": {"regions": 7, "feature_size": 32, "seed": 4}}
    changes |= {"prompt_set": "synonym", "storage": "pooled", "precision": "bfloat16"}
    edit(folder / "variants" / "long.yaml", features=changes)
    edit(folder / "variants" / "same.yaml", features=changes)
    edit(folder / "variants" / "other.yaml", features={**changes, "storage": "tokens"})
    config = load(folder / "config.yaml")
    long, same, other = (config.method("more3s", v).features for v in ("long", "same", "other"))
    assert long == same != other
    assert long.startswith("compact-detector.feature_size=32-detector.regions=7-")
    assert re.search(r"-and-\d+-more-[0-9a-f]{12}$", long)
    assert len(long) <= 120
    assert config.features[long].encoder.seed == 5
    assert config.shared(long) == "compact"
    (tmp_path / f".partial.{long}.h5.provenance.json.parts").touch()


def test_features_share_what_they_do_not_change() -> None:
    config = load(CONFIG / "config.yaml")
    synonym = config.method("more3s", "synonym_prompts").features
    blind = config.method("more3s", "no_image").features
    assert config.shared(synonym, "detector") == "compact"
    assert config.shared(synonym, "detector", "prompt_set") == synonym
    assert config.shared(blind, "detector") == blind
    assert config.shared("compact", "detector", "encoder") == "compact"


def test_random_policy_is_measured_under_the_shared_protocol(folder: Path) -> None:
    lay(folder / "config.yaml", {"evaluation": {"episodes": 7}})
    assert load(folder / "config.yaml").evaluation() == EvaluationConfig(
        **{**load(CONFIG / "config.yaml").evaluation().model_dump(), "episodes": 7}
    )


def test_settings_of_the_command_line_are_laid_over_those_of_the_file() -> None:
    path = CONFIG / "config.yaml"
    config, usual = load(path, {"settings": [STEPS]}), load(path)
    for method, dataset in (("more3s", None), ("behaviour_cloning", "halfcheetah_medium")):
        training = usual.method(method, dataset=dataset).training.model_copy(update={"steps": 7})
        assert config.method(method, dataset=dataset).training == training
    robots = load(path, {"settings": [{"where": {"family": "mujoco"}, **STEPS}]})
    assert robots.method("more3s").training == usual.method("more3s").training
    assert robots.method("more3s", dataset="hopper_medium").training.steps == 7


def test_further_files_are_laid_over_the_first(folder: Path) -> None:
    for name, content in (
        ("second", {"scale": "mine", "settings": [STEPS, {"policy": {"dropout": 0.5}}]}),
        ("third", {"settings": [{"training": {"steps": 8, "batch_size": 9}}]}),
    ):
        edit(folder / f"{name}.yaml", **content)
    further = [folder / "second.yaml", folder / "third.yaml"]
    config = load(folder / "toy.yaml", {"settings": [{"training": {"batch_size": 3}}]}, further)
    settings = config.method("more3s")
    assert (config.scale, settings.policy.dropout) == ("mine", 0.5)
    assert (settings.training.steps, settings.training.batch_size) == (8, 3)


def test_a_table_is_declared_by_configuration_alone(folder: Path) -> None:
    grid = {"datasets": ["catch"], "methods": ["more3s"], "seeds": [3]}
    freeway = {
        "kind": "ablation",
        "title": "Mine",
        "setting": "K = {policy.context_length}",
        **grid,
    }
    edit(folder / "toy.yaml", tables={"freeway": freeway, "table5": {"title": "Prompts"}})
    tables = load(folder / "toy.yaml").tables
    assert tables["freeway"] == TableConfig.model_validate(freeway)
    # What a file of tables/ says holds unless the configuration says otherwise.
    shipped, changed = load(CONFIG / "toy.yaml").tables["table5"], tables["table5"]
    assert shipped.title == "Table 5: prompt sets"
    assert changed == shipped.model_copy(update={"title": "Prompts"})


def test_json_is_canonical_and_round_trips() -> None:
    section = load(CONFIG / "toy.yaml").method("more3s")
    assert MethodConfig.from_json(section.as_json()) == section
    reordered = MethodConfig.model_validate(dict(reversed(section.model_dump().items())))
    assert reordered.as_json() == section.as_json()


def test_a_method_s_settings_say_what_it_observes_and_is_told() -> None:
    methods = plugins.names("methods")
    assert {"more3s", "decision_transformer", "behaviour_cloning"} <= set(methods)
    kinds = {name: settings_class(name).observations for name in methods}
    assert kinds.pop("more3s") == ("embeddings", "embeddings_and_states")
    assert kinds["decision_transformer"] == kinds["behaviour_cloning"] == ("pixels", "states")
    assert kinds["bc_mlp"] == ("states",)
    assert {kind for each in kinds.values() for kind in each} <= set(plugins.names("observations"))
    assert MethodConfig(method="more3s").policy.observed == "embeddings"
    states = MethodConfig.model_validate(
        {"method": "behaviour_cloning", "policy": {"observation": "states"}}
    )
    assert states.policy.observed == "states"
    taking = {name for name in methods if settings_class(name)().uses_returns}
    returns = {"decision_transformer", "decision_transformer_glu", "elastic_dt", "upside_down"}
    assert taking == {"more3s", *returns}


def test_a_method_takes_the_shared_settings_that_it_has() -> None:
    config = load(CONFIG / "config.yaml", {"settings": [{"policy": {"time_embedding": "none"}}]})
    ours, theirs = config.method("more3s").policy, config.method("behaviour_cloning").policy
    assert {each.model_dump()["time_embedding"] for each in (ours, theirs)} == {"none"}
    assert "memory_length" in ours.model_dump()
    assert "memory_length" not in theirs.model_dump()
    with pytest.raises(PipelineError, match=r"policy.memory_length: unknown key"):
        MethodConfig.from_json('{"method": "behaviour_cloning", "policy": {"memory_length": 3}}')


def test_a_method_takes_of_a_shared_section_the_keys_that_it_has() -> None:
    planner = {"horizon": 7, "plans": 5}
    config = load(CONFIG / "config.yaml", {"settings": [{"policy": {"planner": planner}}]})
    mbop, diffuser = (config.method(name).policy.model_dump() for name in ("mbop", "diffuser"))
    assert (mbop["planner"]["horizon"], diffuser["planner"]["plans"]) == (7, 5)
    assert "plans" not in mbop["planner"]
    assert mbop["planner"]["trajectories"] == 60  # laid over what there was
    with pytest.raises(PipelineError, match=r"policy.planner.plan: unknown key 'plan' .*plans"):
        load(CONFIG / "config.yaml", {"settings": [{"policy": {"planner": {"plan": 3}}}]})


def test_every_field_is_reachable_from_its_schema() -> None:
    assert {"scale", "settings", "tables"} <= set(Config.model_fields)


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
    assert (blind.detector.name, blind.detector.published) == ("no_regions", None)
    gpt2 = paper.method("more3s", "gpt2_6")
    assert paper.language_models[str(gpt2.language_model)].published == "gpt2"
    assert (gpt2.policy.width, gpt2.policy.layers, gpt2.policy.heads) == (768, 6, 12)
