"""What the report shows beside tables, curves and regions, and the demo; all rules but one take seconds.

The exception is a sweep: 25 episodes, at the default scale about two minutes of CPU time for MORE-3S and one for DT.
Sweeps, attention and videos are therefore of one seed of each method (`shown` in the table of runs): of the default
configuration's games some 13 minutes of CPU time for the eight sweeps, less than one for attention. `sweep.episodes` is the
setting to turn; `snakemake results/table1.csv` makes none of it.
"""


localrules:
    plot_perplexity,
    render_table,
    explain_table,
    render_overview,
    show_rollout,
    plot_target_sweeps,
    plot_costs,
    list_prompts,
    list_runs,
    demo,


rule render_table:
    """A table for people as a page of the report."""
    input:
        markdown=rules.tabulate.output.markdown,
    output:
        page=in_report("results/pages/tables/{table}.html", "table"),
    log:
        "results/logs/render_table/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage("render_table"),
    shell:
        STAGE


rule explain_table:
    """A page that says of every row of a table what it was made from."""
    input:
        table=rules.tabulate.output.csv,
    output:
        page=in_report("results/pages/explained/{table}.html", "explained"),
    log:
        "results/logs/explain_table/{table}.log",
    conda:
        "../envs/policy.yaml"
    params:
        **stage("explain_table", table_builder),
    shell:
        STAGE


rule plot_perplexity:
    """A picture of a language model's curve."""
    input:
        curve=rules.pretrain_language_model.output.curve,
    output:
        picture=in_report("results/language_models/{language_model}.png", "language_models"),
    log:
        "results/logs/plot_perplexity/{language_model}.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage("plot_perplexity", title="{language_model}"),
    shell:
        STAGE


rule sweep_target_return:
    """The episodes that a trained policy plays under several target returns."""
    input:
        unpack(acting_inputs),
        policy=trained(rules.train_policy.output.policy),
    output:
        episodes="results/runs/{dataset}/{method}/{variant}/seed-{seed}/target_sweep.csv",
    log:
        "results/logs/sweep_target_return/{dataset}/{method}/{variant}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/sweep_target_return/{dataset}/{method}/{variant}/seed-{seed}.tsv"
    conda:
        acting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=120,
        gpu=GPUS,
    params:
        **stage("sweep_target_return", *ACTING_PLUGINS, options=device_options, **SWEEPING),
    shell:
        STAGE


rule plot_target_sweeps:
    """A picture of a data set's sweeps of the target return."""
    input:
        sweeps=of_runs(rules.sweep_target_return.output.episodes, dataset="{dataset}", swept=True),
    output:
        picture=in_report("results/target_sweeps/{dataset}.png", "target_sweeps"),
    log:
        "results/logs/plot_target_sweeps/{dataset}.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage(
            "plot_target_sweeps",
            runs=places_of_runs(dataset="{dataset}", swept=True),
            title="{dataset}",
        ),
    shell:
        STAGE


rule show_rollout:
    """A page that plays a policy's video."""
    input:
        video=rules.film_policy.output.video,
    output:
        page=in_report(
            "results/runs/{dataset}/{method}/{variant}/seed-{seed}{on}/rollout.html", "rollout"
        ),
    log:
        "results/logs/show_rollout/{dataset}/{method}/{variant}/seed-{seed}{on}.log",
    wildcard_constraints:
        dataset=TRAINED_ON,
    conda:
        "../envs/policy.yaml"
    params:
        **stage("show_rollout", title=run_title),
    shell:
        STAGE


rule render_overview:
    """The report's first page: a table whose cells lead on, its intervals, its videos."""
    input:
        table=rules.tabulate.output.csv,
        intervals=rules.plot_intervals.output.picture,
        explained=rules.explain_table.output.page,
        videos=of_runs(rules.film_policy.output.video, table="{table}", shown=True),
        players=of_runs(rules.show_rollout.output.page, table="{table}", shown=True),
    output:
        page=in_report("results/pages/overview/{table}.html", "overview"),
    log:
        "results/logs/render_overview/{table}.log",
    conda:
        "../envs/policy.yaml"
    params:
        **stage(
            "render_overview",
            runs=places_of_runs(table="{table}", shown=True),
            title=lambda w: table_of(w).title or w.table,
        ),
    shell:
        STAGE


rule draw_attention:
    """A picture of a policy's attention over the steps before."""
    input:
        unpack(recorded_inputs),
        policy=trained(rules.train_policy.output.policy),
    output:
        picture=in_report(
            "results/runs/{dataset}/{method}/{variant}/seed-{seed}/attention.png", "attention"
        ),
    log:
        "results/logs/draw_attention/{dataset}/{method}/{variant}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/draw_attention/{dataset}/{method}/{variant}/seed-{seed}.tsv"
    wildcard_constraints:
        dataset=TRAINED_ON,
    conda:
        "../envs/policy.yaml"
    threads: slots(1)
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        **stage("draw_attention", model_of, family_of, title=run_title, **TRAINING),
    shell:
        STAGE


rule list_prompts:
    """A page with the sentences of all prompt sets of a data set."""
    input:
        prompts=collect(
            rules.write_prompts.output.prompts, prompt_set=PROMPT_SETS, allow_missing=True
        ),
    output:
        page=in_report("results/pages/prompts/{dataset}.html", "prompts"),
    log:
        "results/logs/list_prompts/{dataset}.log",
    conda:
        "../envs/features.yaml"
    params:
        **stage(
            "list_prompts",
            family_of,
            environment=environment_of,
            prompt_sets=lambda w: PROMPT_SETS,
            title="Prompts of {dataset}",
        ),
    shell:
        STAGE


rule plot_costs:
    """Time and memory of each stage, as a table and a picture."""
    input:
        benchmarks=[file for _, file in measured()],
    output:
        csv="results/costs.csv",
        picture=in_report("results/costs.png", "costs"),
    log:
        "results/logs/plot_costs.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage("plot_costs", stages=lambda w: [name for name, _ in measured()]),
    shell:
        STAGE


rule list_runs:
    """A page that says of every run what it was made from."""
    input:
        run=each(rules.evaluate_policy.output.run, RUNS),
    output:
        page=in_report("results/pages/runs.html", "provenance"),
    log:
        "results/logs/list_runs.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage("list_runs", runs=places_of_runs()),
    shell:
        STAGE


SHOWN_FIRST = RUNS.where(trained=True)[:1]


rule demo:
    """One game, one seed, one method: how a policy plays, on video, and what its eyes see."""
    input:
        episodes=each(rules.evaluate_policy.output.episodes, SHOWN_FIRST),
        run=each(rules.evaluate_policy.output.run, SHOWN_FIRST),
        video=each(rules.film_policy.output.video, SHOWN_FIRST),
        regions=each(
            rules.draw_regions.output.picture,
            RUNS.where(from_cache=True)[:1],
            features="regions",
            **PLAYED_ON,
        ),
    log:
        "results/logs/demo.log",
    conda:
        "../envs/policy.yaml"
    params:
        **stage("demo", runs=lambda wildcards: [run.place for run in SHOWN_FIRST]),
    shell:
        "{params.command:q} {params.settings:q} 2>&1 | tee {log:q}"
