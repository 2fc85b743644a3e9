"""Scores of a table's runs → the table and a picture."""


localrules:
    gather_scores,
    tabulate,
    plot_intervals,
    plot_performance_profiles,
    plot_scaling,
    plot_training_curves,


# What is known of how a table's runs learned.
LEARNING = {
    name: of_runs(path, {"variant": "trained_as"}, table="{table}", trained=True)
    for name, path in {
        "curves": rules.train_policy.output.curve,
        "trainings": rules.train_policy.benchmark,
    }.items()
}


rule gather_scores:
    """The scores of a table's runs, one row per episode."""
    input:
        episodes=of_runs(rules.evaluate_policy.output.episodes, table="{table}"),
        run=of_runs(rules.evaluate_policy.output.run, table="{table}"),
        checkpoints=of_runs(
            rules.evaluate_checkpoints.output.episodes, table="{table}", checkpoints=True
        ),
    output:
        scores="results/scores/{table}.csv",
    log:
        "results/logs/gather_scores/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage(
            "gather_scores",
            runs=places_of_runs(table="{table}"),
            checkpoint_runs=places_of_runs(table="{table}", checkpoints=True),
        ),
    shell:
        STAGE


rule tabulate:
    """A table: tidy, across games, and for people."""
    input:
        **LEARNING,
        scores=rules.gather_scores.output.scores,
        published=f"{RESOURCES}/published_scores.csv",
    output:
        csv="results/{table}.csv",
        across="results/across_games/{table}.csv",
        markdown="results/{table}.md",
    log:
        "results/logs/tabulate/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage(
            "tabulate",
            table_builder,
            name="{table}",
            runs=places_of_runs(table="{table}", trained=True),
            scale=lambda w: CONFIG.scale,
            **DECLARED,
        ),
    shell:
        STAGE


rule plot_training_curves:
    """A picture of the training curves of a table's runs."""
    input:
        **LEARNING,
        scores=rules.gather_scores.output.scores,
    output:
        picture=in_report("results/learning_curves/{table}.png", "learning_curves"),
    log:
        "results/logs/plot_training_curves/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage("plot_training_curves", runs=places_of_runs(table="{table}", trained=True)),
    shell:
        STAGE


rule plot_intervals:
    """A picture of a table's figures across games, with their intervals."""
    input:
        across=rules.tabulate.output.across,
    output:
        picture=in_report("results/intervals/{table}.png", "intervals"),
    log:
        "results/logs/plot_intervals/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage("plot_intervals"),
    shell:
        STAGE


rule plot_performance_profiles:
    """A picture of the share of runs that score more than τ, for each row of a table."""
    input:
        scores=rules.gather_scores.output.scores,
    output:
        picture=in_report("results/performance_profiles/{table}.png", "performance_profiles"),
    log:
        "results/logs/plot_performance_profiles/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage("plot_performance_profiles", table=table_of),
    shell:
        STAGE


rule plot_scaling:
    """A picture of scores against the size of the policy, for a table that asks for it."""
    input:
        scores=rules.gather_scores.output.scores,
        policies=of_runs(
            rules.train_policy.output.policy,
            {"variant": "trained_as"},
            table="{table}",
            trained=True,
        ),
    output:
        picture=in_report("results/{table}.png", "scaling"),
    log:
        "results/logs/plot_scaling/{table}.log",
    wildcard_constraints:
        table=names(BY_SIZE),
    conda:
        "../envs/policy.yaml"
    params:
        **stage("plot_scaling", table=table_of, runs=places_of_runs(table="{table}", trained=True)),
    shell:
        STAGE
