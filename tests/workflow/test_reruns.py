"""What a change runs again, and what it leaves alone."""

from pathlib import Path

import yaml
from toy_project import ABLATED, CHOOSING, METHODS, RUNS, SEEDS, edited, planned

from pipeline.config.methods import settings_class


def test_nothing_is_done_twice(project: Path) -> None:
    assert planned(project) == {}


def test_a_comment_or_a_docstring_runs_nothing(project: Path) -> None:
    stage = project / "pipeline" / "stages" / "detect_regions.py"
    with edited(stage, '"""Detect', "# A comment.\n\n" + '"""Really detect'):
        assert planned(project) == {}


def test_the_order_of_the_configuration_runs_nothing(project: Path) -> None:
    path = project / "config" / "toy.yaml"
    text = path.read_text()
    content = yaml.safe_load(text)
    reversed_text = yaml.safe_dump(dict(reversed(content.items())), sort_keys=False)
    with edited(path, text, reversed_text):
        assert planned(project) == {}


def test_other_hardware_runs_nothing(project: Path) -> None:
    hardware = "hardware={device: auto, processes: 2, save_every: 5, cache_memory_mb: 64}"
    assert planned(project, "--config", hardware) == {}


def test_training_code_keeps_the_cache(project: Path) -> None:
    with edited(project / "pipeline" / "training" / "loop.py", "\n\n\n", "\n\nEDITED = 1\n\n\n"):
        jobs = planned(project)
    assert jobs["train_policy"] == RUNS + CHOOSING
    assert jobs["evaluate_policy"] == RUNS
    assert jobs.keys() <= {
        "choose_action_rule",
        *("train_policy", "evaluate_policy", "evaluate_checkpoints", "evaluate_random"),
        *("gather_scores", "tabulate", "plot_training_curves", "plot_performance_profiles"),
        *("sweep_target_return", "plot_target_sweeps", "draw_attention", "show_rollout"),
        *("film_policy", "render_table", "plot_costs", "list_runs"),
        *("explain_table", "plot_intervals", "render_overview"),
    }
    assert jobs["sweep_target_return"] < jobs["draw_attention"] == len(METHODS)  # of one seed


def test_a_model_touches_its_own_runs(project: Path) -> None:
    model = project / "pipeline" / "methods" / "more3s.py"
    with edited(model, "\n\n\n", "\n\nEDITED = 1\n\n\n"):
        jobs = planned(project)
    assert jobs["train_policy"] == jobs["evaluate_policy"] == SEEDS + len(ABLATED)
    assert "build_cache" not in jobs


def test_what_a_method_says_of_itself_touches_its_own_runs(project: Path) -> None:
    settings = project / "pipeline" / "config" / "methods" / "behaviour_cloning.py"
    with edited(settings, "ClassVar[bool] = False", "ClassVar[bool] = True"):
        jobs = planned(project)
    assert jobs["train_policy"] == SEEDS + CHOOSING
    assert jobs["evaluate_policy"] == SEEDS


def test_the_detector_redoes_everything_after_it(project: Path) -> None:
    detector = project / "pipeline" / "vision" / "detectors" / "fast_rcnn.py"
    with edited(detector, "\n\n\n", "\n\nEDITED = 1\n\n\n"):
        jobs = planned(project)
    kinds = {method: settings_class(method).observations for method in METHODS}
    seeing = [method for method in METHODS if kinds[method][0] == "embeddings"]
    # Ablations of prompts and of the encoder have the same regions.
    assert jobs["detect_regions"] == jobs["draw_regions"] == 1
    assert jobs["pretrain_encoder"] == jobs["build_cache"] == 1 + len(ABLATED)
    runs = len(seeing) * SEEDS + len(ABLATED)
    assert jobs["train_policy"] == jobs["evaluate_policy"] == runs
    assert not jobs.keys() & {"collect_trajectories", "render_frames", "write_prompts"}
    assert "shrink_frames" not in jobs


def test_a_setting_of_the_evaluation_does_not_train(project: Path) -> None:
    with edited(project / "config" / "toy.yaml", "episodes: 3", "episodes: 4"):
        jobs = planned(project)
    assert "train_policy" not in jobs
    assert jobs["evaluate_policy"] == RUNS
    assert jobs["evaluate_random"] == SEEDS
    with edited(project / "config" / "toy.yaml", "episodes: 3", "episodes: 3\n      epsilon: 0.02"):
        jobs = planned(project)
    assert "train_policy" not in jobs
    assert jobs["evaluate_policy"] == RUNS


def test_a_setting_of_the_encoder_keeps_the_regions(project: Path) -> None:
    path = project / "config" / "features" / "toy.yaml"
    with edited(path, "pretraining_steps: 10", "pretraining_steps: 11"):
        jobs = planned(project)
    # Its own and those of the variant with other prompts; the variant without pretraining has none.
    assert jobs["pretrain_encoder"] == jobs["build_cache"] == 2
    assert jobs["train_policy"] == jobs["evaluate_policy"] == SEEDS + 1
    assert jobs["film_policy"] == jobs["sweep_target_return"] == 1
    assert not jobs.keys() & {"detect_regions", "render_frames", "shrink_frames"}


def test_a_setting_of_the_cache_keeps_the_encoder(project: Path) -> None:
    with edited(project / "config" / "features" / "toy.yaml", "batch: 32", "batch: 16"):
        jobs = planned(project)
    runs = SEEDS + len(ABLATED)
    assert jobs["build_cache"] == 1 + len(ABLATED)
    assert jobs["train_policy"] == jobs["evaluate_policy"] == runs
    assert not jobs.keys() & {"detect_regions", "pretrain_encoder", "probe_embeddings"}


def test_another_encoder_is_tried_without_training_what_sees_pixels(project: Path) -> None:
    """The encoder of a file of features beside the one that all methods were run with."""
    features = project / "config" / "features"
    mine = (features / "toy.yaml").read_text()
    (features / "mine.yaml").write_text(mine.replace("cross_layers: 1", "cross_layers: 2"))
    with edited(project / "config" / "toy.yaml", "features: toy", "features: mine"):
        jobs = planned(project, "results/table1.csv")
    (features / "mine.yaml").unlink()
    assert jobs["pretrain_encoder"] == jobs["build_cache"] == 1
    assert jobs["train_policy"] == jobs["evaluate_policy"] == SEEDS


AFTER_SCORES = {
    **{"gather_scores": 1, "tabulate": 1, "render_table": 1},
    **{"plot_training_curves": 1, "plot_performance_profiles": 1},
    **{"explain_table": 1, "plot_intervals": 1, "plot_costs": 1, "list_runs": 1},
}
"""What follows when the runs of one table change."""


def test_a_new_variant_is_exactly_its_own_jobs(project: Path) -> None:
    variant = project / "config" / "variants" / "calm.yaml"
    variant.write_text("policy:\n  dropout: 0\n")
    toy = project / "config" / "toy.yaml"
    with edited(toy, "[default, synonym_prompts]", "[default, synonym_prompts, calm]"):
        jobs = planned(project)
    variant.unlink()
    assert jobs == {"train_policy": 1, "evaluate_policy": 1, **AFTER_SCORES}


def test_what_begins_with_a_variant_of_play_begins_with_the_policy_that_it_plays(
    project: Path,
) -> None:
    variant = project / "config" / "variants" / "begun.yaml"
    variant.write_text("policy:\n  initial_weights: run:catch/{method}/greedy\n")
    toy = project / "config" / "toy.yaml"
    with edited(toy, "[default, synonym_prompts]", "[default, synonym_prompts, greedy, begun]"):
        jobs = planned(project)
    variant.unlink()
    assert jobs["train_policy"] == 1  # greedy plays the default's
    assert jobs["evaluate_policy"] == 2


def test_a_deleted_score_is_played_again_and_nothing_trained(project: Path) -> None:
    run = project / "results" / "runs" / "catch" / "more3s" / "default" / "seed-1"
    kept = run / "kept.csv"
    (run / "episodes.csv").rename(kept)  # seed 1 is in table 1 alone
    jobs = planned(project)
    kept.rename(run / "episodes.csv")
    assert jobs == {"evaluate_policy": 1, **AFTER_SCORES, "render_overview": 1}
    assert planned(project) == {}


def test_a_language_model_redoes_what_begins_with_it(project: Path) -> None:
    with edited(project / "config" / "language_models" / "toy.yaml", "steps: 10", "steps: 11"):
        jobs = planned(project)
    assert jobs["pretrain_language_model"] == 1
    assert jobs["train_policy"] == jobs["evaluate_policy"] == jobs["evaluate_checkpoints"] == 1
    assert not jobs.keys() & {"pretrain_encoder", "build_cache"}


def test_an_ablation_shares_the_cache(project: Path) -> None:
    with edited(project / "config" / "toy.yaml", "[default]", "[default, no_memory]"):
        jobs = planned(project)
    assert jobs["train_policy"] == SEEDS  # of MORE-3S: the others have no memory to be without
    assert jobs["evaluate_policy"] == len(METHODS) * SEEDS
    assert "build_cache" not in jobs


def test_the_table_is_enough_of_a_target(project: Path) -> None:
    jobs = planned(project, "results/table1.csv", configfile="config/config.yaml")
    config = yaml.safe_load((project / "config" / "config.yaml").read_text())
    table = config["tables"]["table1"]
    runs = len(table["datasets"]) * len(table["methods"]) * len(table["seeds"])
    assert jobs["train_policy"] == jobs["evaluate_policy"] == runs
    assert jobs["tabulate"] == 1


def test_the_demo_is_one_run(project: Path) -> None:
    jobs = planned(project, "demo", configfile="config/config.yaml")
    assert jobs.pop("demo") == 1
    assert set(jobs.values()) == {1}
    assert {"train_policy", "evaluate_policy", "draw_regions"} <= jobs.keys()
    assert "shrink_frames" not in jobs
