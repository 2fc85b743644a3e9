"""Scores of a table's runs → the table and a picture."""


localrules:
    gather_scores,
    tabulate,
    plot_performance_profiles,
    plot_training_curves,


rule gather_scores:
    input:
        episodes=lambda w: [scores_of(run, "episodes") for run in scored_in(w)],
        run=lambda w: [scores_of(run, "run") for run in scored_in(w)],
        checkpoints=lambda w: [
            expand(rules.evaluate_checkpoints.output.episodes, **run)[0]
            for run in checkpoints_in(w)
        ],
    output:
        scores="results/scores/{table}.csv",
    log:
        "results/logs/gather_scores/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=code("gather_scores"),
        runs=lambda w: json.dumps(scored_in(w), sort_keys=True),
        checkpoint_runs=lambda w: json.dumps(checkpoints_in(w), sort_keys=True),
    shell:
        "python -m pipeline.stages.gather_scores --runs {params.runs:q}"
        " --episodes-csv {input.episodes:q} --run-json {input.run:q}"
        " --checkpoint-runs {params.checkpoint_runs:q} --checkpoints-csv {input.checkpoints:q}"
        " --output {output.scores:q} > {log:q} 2>&1"


rule tabulate:
    input:
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
        code=lambda w: code("tabulate", kind_of_table(w)),
        table=lambda w: CONFIG.tables[w.table].as_json(),
        environments=environments_of,
        scale=CONFIG.scale,
    shell:
        "python -m pipeline.stages.tabulate --name {wildcards.table:q} --table {params.table:q}"
        " --environments {params.environments:q} --scale {params.scale:q}"
        " --scores {input.scores:q} --published {input.published:q}"
        " --csv {output.csv:q} --across-csv {output.across:q}"
        " --markdown {output.markdown:q} > {log:q} 2>&1"


rule plot_training_curves:
    input:
        curves=lambda w: [
            expand(rules.train_policy.output.curve, **run)[0] for run in trained_in(w)
        ],
        scores=rules.gather_scores.output.scores,
    output:
        picture=in_report("results/learning_curves/{table}.png", "learning_curves"),
    log:
        "results/logs/plot_training_curves/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=code("plot_training_curves"),
        seeds=lambda w: CONFIG.tables[w.table].seeds,
        runs=lambda w: json.dumps(trained_in(w), sort_keys=True),
    shell:
        "python -m pipeline.stages.plot_training_curves --runs {params.runs:q}"
        " --curves {input.curves:q} --scores {input.scores:q} --output {output.picture:q}"
        " > {log:q} 2>&1"


rule plot_performance_profiles:
    input:
        scores=rules.gather_scores.output.scores,
    output:
        picture=in_report("results/performance_profiles/{table}.png", "performance_profiles"),
    log:
        "results/logs/plot_performance_profiles/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=code("plot_performance_profiles"),
        table=lambda w: CONFIG.tables[w.table].as_json(),
    shell:
        "python -m pipeline.stages.plot_performance_profiles --table {params.table:q}"
        " --scores {input.scores:q} --output {output.picture:q} > {log:q} 2>&1"
