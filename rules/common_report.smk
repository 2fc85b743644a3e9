"""Helpers of the report: what it shows, where, and what that reads."""

from typing import get_args

from pipeline.config.schema import FeaturesConfig
from pipeline.reporting.method_names import printed

# All there are, whether a run uses them or not.
PROMPT_SETS = get_args(FeaturesConfig.model_fields["prompt_set"].annotation)
BY_SIZE = [name for name, table in CONFIG.tables.items() if table.by_size]
PRETRAINED = [run for run in RUNS if run.language_model]

# Caption, a file of report/ → section; the menu sorts sections by name, hence the numbers.
SECTIONS = {
    "overview": "0 Result",
    "table": "1 Tables",
    "intervals": "1 Tables",
    "explained": "1 Tables",
    "learning_curves": "2 Learning curves",
    "performance_profiles": "2 Learning curves",
    "scaling": "2 Learning curves",
    "language_models": "2 Learning curves",
    "target_sweeps": "3 Target-return sweeps",
    "rollout": "4 Rollout videos",
    "regions": "5 Boxes on frames",
    "attention": "6 Attention over memory",
    "prompts": "7 Prompt lists",
    "horizon_accuracy": "2 Learning curves",
    "costs": "8 Cost per stage",
    "planning_cost": "8 Cost per stage",
    "provenance": "9 Provenance",
}


def run_title(wildcards):
    """How the report calls a run, and where its policy is of several games also the one played."""
    game = wildcards.dataset + getattr(wildcards, "on", "")
    return f"{game}, {printed(wildcards.method, wildcards.variant)}, seed {wildcards.seed}"


def in_report(path, caption):
    """An output that `snakemake --report` shows; its wildcards tell it from others of its section.

    A section has a folder for each game or robot, table or language model.
    """
    names = sorted(get_wildcard_names(path))
    folders = [f"{{{name}}}" for name in ("dataset", "table", "language_model") if name in names]

    def labels(wildcards):
        known = {name: value for name in names if (value := getattr(wildcards, name))}
        known |= {"method": printed(known["method"])} if "method" in known else {}
        if [*SECTIONS.values()].count(SECTIONS[caption]) > 1:
            known["shows"] = caption.replace("_", " ")
        return known or {"runs": "all"}

    return report(
        path,
        caption=f"../report/{caption}.rst",
        category=SECTIONS[caption],
        subcategory=(folders or ["all runs"])[0],
        labels=labels,
    )


@cache
def measured():
    """(stage, benchmark file) of every job that has one, in the order the data flow.

    Of what was made in shards it is the job that joins them: asking for the files of the shards, which are
    temporary, would make them again.
    """
    joined = {"detect_regions", "build_cache"} if CONFIG.hardware.shards > 1 else set()
    seeing, trained = RUNS.where(from_cache=True), RUNS.where(trained=True)
    shown, swept = RUNS.where(shown=True), RUNS.where(swept=True)
    choosing = RUNS.where(chooses=True)
    attending = RUNS.where(shown=True, attends=True)
    found = {
        "collect_trajectories": each(rules.collect_trajectories.benchmark, RUNS, **PLAYED_ON),
        "render_frames": each(rules.render_frames.benchmark, RUNS, **PLAYED_ON),
        "shrink_frames": each(
            rules.shrink_frames.benchmark, RUNS.where(observation="pixels"), **PLAYED_ON
        ),
        "detect_regions": each(
            rules.detect_regions.benchmark, seeing, features="regions", **PLAYED_ON
        ),
        "pretrain_encoder": each(
            rules.pretrain_encoder.benchmark, seeing, features="encoder", **PLAYED_ON
        ),
        "build_cache": each(rules.build_cache.benchmark, seeing, **PLAYED_ON),
        "pretrain_language_model": each(rules.pretrain_language_model.benchmark, PRETRAINED),
        "train_policy": each(rules.train_policy.benchmark, trained, variant="trained_as")
        + each(rules.train_policy.benchmark, choosing, seed="choosing_seed", variant="trained_as"),
        "choose_action_rule": each(rules.choose_action_rule.benchmark, choosing),
        "evaluate_policy": each(rules.evaluate_policy.benchmark, trained),
        "film_policy": each(rules.film_policy.benchmark, shown),
        "evaluate_checkpoints": each(
            rules.evaluate_checkpoints.benchmark, RUNS.where(checkpoints=True)
        ),
        "sweep_target_return": each(rules.sweep_target_return.benchmark, swept),
        "draw_attention": each(rules.draw_attention.benchmark, attending),
    }
    return [
        (f"{name}, joining" if name in joined else name, file)
        for name, files in found.items()
        for file in files
    ]


def report_contents():
    """All that the report shows."""
    tables = [rules.plot_training_curves.output.picture, rules.render_table.output.page]
    tables += [rules.plot_performance_profiles.output.picture, rules.plot_intervals.output.picture]
    tables += [rules.explain_table.output.page]
    shown, seeing = RUNS.where(shown=True), RUNS.where(from_cache=True)
    return [
        *collect(rules.render_overview.output.page, table=[*CONFIG.tables][:1]),
        *collect(tables, table=CONFIG.tables),
        *collect(rules.plot_scaling.output.picture, table=BY_SIZE),
        *each(rules.draw_regions.output.picture, seeing, features="regions", **PLAYED_ON),
        *each(rules.show_rollout.output.page, shown),
        *each(rules.draw_attention.output.picture, RUNS.where(shown=True, attends=True)),
        *each(rules.plot_perplexity.output.picture, PRETRAINED),
        *each(rules.plot_target_sweeps.output.picture, RUNS.where(swept=True)),
        *each(rules.list_prompts.output.page, RUNS, **PLAYED_ON),
        rules.plot_costs.output.picture,
        *(rules.compare_planning_costs.output if RUNS.where(timed=True) else []),
        *(rules.compare_predictions.output if RUNS.where(predicting=True) else []),
        rules.list_runs.output.page,
    ]
