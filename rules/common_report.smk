"""Helpers of the report: what it shows, where, and what that reads."""

from typing import get_args

from snakemake.io import get_wildcard_names

from pipeline.config.schema import FeaturesConfig
from pipeline.config.plugins import uses_returns

# What the report shows of single runs: of every method on a data set the first variant and seed of the tables.
SHOWN = [*{(run["dataset"], run["method"]): run for run in reversed(TRAINED)}.values()][::-1]
SWEPT = [run for run in SHOWN if uses_returns(run["method"])]


def attending_inputs(wildcards):
    """What a look at a trained policy's attention reads: what it was trained on, and the policy."""
    return {
        "policy": rules.train_policy.output.policy,
        "trajectories": rules.collect_trajectories.output.trajectories,
        "observations": observations(wildcards),
    }


# Caption, a file of report/ → section; the menu sorts sections by name, hence the numbers.
SECTIONS = {
    "table": "1 Tables",
    "learning_curves": "2 Learning curves",
    "performance_profiles": "2 Learning curves",
    "language_models": "2 Learning curves",
    "target_sweeps": "3 Target-return sweeps",
    "rollout": "4 Rollout videos",
    "regions": "5 Boxes on frames",
    "attention": "6 Attention over memory",
    "prompts": "7 Prompt lists",
    "costs": "8 Cost per stage",
    "provenance": "9 Provenance",
}


def in_report(path, caption):
    """An output that `snakemake --report` shows; its wildcards tell it from others of its section."""
    labels = {name: f"{{{name}}}" for name in sorted(get_wildcard_names(path))} or {"runs": "all"}
    place = f"../report/{caption}.rst"
    return report(path, caption=place, category=SECTIONS[caption], labels=labels)


def datasets_of(found):
    """Data sets of some runs."""
    return list(dict.fromkeys(run["dataset"] for run in found))


def swept_on(wildcards):
    """The runs of a data set whose target return is swept."""
    return [run for run in SWEPT if run["dataset"] == wildcards.dataset]


def sweep_settings(wildcards):
    return acting_settings(wildcards) + options(sweep=CONFIG.sweep)


def prompt_sets():
    """All there are, whether a run uses them or not."""
    return get_args(FeaturesConfig.model_fields["prompt_set"].annotation)


def language_models():
    """Wildcards of the language models that some run begins with."""
    settings = [settings_of(run) for run in TRAINED]
    return distinct(
        [
            {"language_model": method.language_model}
            for method in settings
            if method.policy.initial_weights == "language_model"
            and not CONFIG.language_models[method.language_model].published
        ]
    )


def measured():
    """(stage, benchmark file) of every job that has one, in the order the data flow.

    Of what was made in shards it is the job that joins them: asking for the files of the shards, which are
    temporary, would make them again.
    """
    joined = {"detect_regions", "build_cache"} if CONFIG.hardware.shards > 1 else set()
    on_pixels = [run for run in TRAINED if observing(run) == "pixels"]
    places = {
        "collect_trajectories": [{"dataset": name} for name in datasets_of(TRAINED)],
        "render_frames": [{"dataset": name} for name in datasets_of(TRAINED)],
        "shrink_frames": [{"dataset": name} for name in datasets_of(on_pixels)],
        "detect_regions": REGIONS,
        "pretrain_encoder": ENCODERS,
        "build_cache": artefacts_of(FeaturesConfig.model_fields),
        "pretrain_language_model": language_models(),
        "train_policy": TRAINED,
        "evaluate_policy": TRAINED,
        "film_policy": SHOWN,
        "evaluate_checkpoints": runs(
            table for table in CONFIG.tables.values() if table.checkpoints
        ),
        "sweep_target_return": SWEPT,
        "draw_attention": SHOWN,
    }
    return [
        (
            f"{name}, joining" if name in joined else name,
            expand(getattr(rules, name).benchmark, **place)[0],
        )
        for name, found in places.items()
        for place in found
    ]


def report_contents():
    """All that the report shows."""
    tables = [rules.plot_training_curves.output.picture, rules.render_table.output.page]
    tables += [rules.plot_performance_profiles.output.picture]
    return [
        [expand(path, table=CONFIG.tables) for path in tables],
        [expand(rules.draw_regions.output.picture, **regions) for regions in REGIONS],
        [expand(rules.show_rollout.output.page, **run) for run in SHOWN],
        [expand(rules.draw_attention.output.picture, **run) for run in SHOWN],
        [expand(rules.plot_perplexity.output.picture, **model) for model in language_models()],
        expand(rules.plot_target_sweeps.output.picture, dataset=datasets_of(SWEPT)),
        expand(rules.list_prompts.output.page, dataset=datasets_of(TRAINED)),
        [rules.plot_costs.output.picture, rules.list_runs.output.page],
    ]
