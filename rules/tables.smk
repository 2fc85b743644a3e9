"""Scores of all runs → tables and pictures."""


localrules:
    gather_scores,
    tabulate,
    plot_training_curves,


rule gather_scores:
    input:
        episodes=[scores_of(run, "episodes") for run in SCORED],
        run=[scores_of(run, "run") for run in SCORED],
    output:
        scores="results/scores.csv",
    log:
        "results/logs/gather_scores.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=code("gather_scores"),
        runs=json.dumps(SCORED, sort_keys=True),
    shell:
        "python -m pipeline.stages.gather_scores --runs {params.runs:q}"
        " --episodes-csv {input.episodes:q} --run-json {input.run:q}"
        " --output {output.scores:q} > {log:q} 2>&1"


rule tabulate:
    input:
        scores=rules.gather_scores.output.scores,
    output:
        csv="results/{table}.csv",
        markdown="results/{table}.md",
    log:
        "results/logs/tabulate/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=lambda w: code("tabulate", f"tables.{w.table}"),
        table=lambda w: CONFIG.tables[w.table].as_json(),
        environments=environments_of,
        scale=CONFIG.scale,
    shell:
        "python -m pipeline.stages.tabulate --name {wildcards.table:q} --table {params.table:q}"
        " --environments {params.environments:q} --scale {params.scale:q}"
        " --scores {input.scores:q} --csv {output.csv:q} --markdown {output.markdown:q}"
        " > {log:q} 2>&1"


rule plot_training_curves:
    input:
        curves=[expand(rules.train_policy.output.curve, **run)[0] for run in TRAINED],
        scores=rules.gather_scores.output.scores,
    output:
        picture="results/learning_curves.png",
    log:
        "results/logs/plot_training_curves.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=code("plot_training_curves"),
        runs=json.dumps(TRAINED, sort_keys=True),
    shell:
        "python -m pipeline.stages.plot_training_curves --runs {params.runs:q}"
        " --curves {input.curves:q} --scores {input.scores:q} --output {output.picture:q}"
        " > {log:q} 2>&1"
