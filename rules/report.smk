"""What the report shows beside tables, curves and regions; all rules but one take seconds.

The exception is a sweep: 25 episodes, at the default scale about two minutes of CPU time for MORE-3S and one for DT.
Sweeps, attention and videos are therefore of one seed of each method (SHOWN in common_report.smk): of the default
configuration's games some 13 minutes of CPU time for the eight sweeps, less than one for attention. `sweep.episodes` is the
setting to turn; `snakemake results/table1.csv` makes none of it.
"""


localrules:
    plot_perplexity,
    render_table,
    show_rollout,
    plot_target_sweeps,
    plot_costs,
    list_prompts,
    list_runs,


rule render_table:
    input:
        markdown=rules.tabulate.output.markdown,
    output:
        page=in_report("results/pages/tables/{table}.html", "table"),
    log:
        "results/logs/render_table/{table}.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=code("render_table"),
    shell:
        "python -m pipeline.stages.render_table --markdown {input.markdown:q}"
        " --output {output.page:q} > {log:q} 2>&1"


rule plot_perplexity:
    input:
        curve=rules.pretrain_language_model.output.curve,
    output:
        picture=in_report("results/language_models/{language_model}.png", "language_models"),
    log:
        "results/logs/plot_perplexity/{language_model}.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=code("plot_perplexity"),
    shell:
        "python -m pipeline.stages.plot_perplexity --title {wildcards.language_model:q}"
        " --curve {input.curve:q} --output {output.picture:q} > {log:q} 2>&1"


rule sweep_target_return:
    input:
        unpack(playing_inputs),
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
        code=lambda w: code("sweep_target_return", *model_of(w), *eyes_of(w), family_of(w)),
        settings=sweep_settings,
        given=computing,
    shell:
        "python -m pipeline.stages.sweep_target_return --seed {wildcards.seed} {params.given:q}"
        " {params.settings:q} --output {output.episodes:q} > {log:q} 2>&1"


rule plot_target_sweeps:
    input:
        sweeps=lambda w: [
            expand(rules.sweep_target_return.output.episodes, **run)[0] for run in swept_on(w)
        ],
    output:
        picture=in_report("results/target_sweeps/{dataset}.png", "target_sweeps"),
    log:
        "results/logs/plot_target_sweeps/{dataset}.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=code("plot_target_sweeps"),
        runs=lambda w: json.dumps(swept_on(w), sort_keys=True),
        episodes=CONFIG.sweep.episodes,
    shell:
        "python -m pipeline.stages.plot_target_sweeps --runs {params.runs:q}"
        " --sweeps {input.sweeps:q} --title {wildcards.dataset:q} --output {output.picture:q}"
        " > {log:q} 2>&1"


rule show_rollout:
    input:
        video=rules.film_policy.output.video,
    output:
        page=in_report(
            "results/runs/{dataset}/{method}/{variant}/seed-{seed}/rollout.html", "rollout"
        ),
    log:
        "results/logs/show_rollout/{dataset}/{method}/{variant}/seed-{seed}.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=code("show_rollout"),
        title="{dataset}, {method}, variant {variant}, seed {seed}",
    shell:
        "python -m pipeline.stages.show_rollout --video {input.video:q} --title {params.title:q}"
        " --output {output.page:q} > {log:q} 2>&1"


rule draw_attention:
    input:
        unpack(attending_inputs),
    output:
        picture=in_report(
            "results/runs/{dataset}/{method}/{variant}/seed-{seed}/attention.png", "attention"
        ),
    log:
        "results/logs/draw_attention/{dataset}/{method}/{variant}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/draw_attention/{dataset}/{method}/{variant}/seed-{seed}.tsv"
    conda:
        "../envs/policy.yaml"
    threads: slots(1)
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        code=lambda w: code("draw_attention", *model_of(w), family_of(w)),
        settings=training_settings,
        given=given,
        title="{dataset}, {method}, variant {variant}, seed {seed}",
    shell:
        "python -m pipeline.stages.draw_attention --seed {wildcards.seed} {params.given:q} {params.settings:q}"
        " --title {params.title:q} --output {output.picture:q} > {log:q} 2>&1"


rule list_prompts:
    input:
        prompts=lambda w: expand(
            rules.write_prompts.output.prompts, dataset=w.dataset, prompt_set=prompt_sets()
        ),
    output:
        page=in_report("results/pages/prompts/{dataset}.html", "prompts"),
    log:
        "results/logs/list_prompts/{dataset}.log",
    conda:
        "../envs/features.yaml"
    params:
        code=lambda w: code("list_prompts", family_of(w)),
        settings=lambda w: options(environment=environment_of(w)),
        sets=prompt_sets(),
        title="Prompts of {dataset}",
    shell:
        "python -m pipeline.stages.list_prompts {params.settings:q} --prompt-sets {params.sets:q}"
        " --prompts {input.prompts:q} --title {params.title:q} --output {output.page:q}"
        " > {log:q} 2>&1"


rule plot_costs:
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
        code=code("plot_costs"),
        stages=json.dumps([name for name, _ in measured()]),
    shell:
        "python -m pipeline.stages.plot_costs --stages {params.stages:q}"
        " --benchmarks {input.benchmarks:q} --csv {output.csv:q} --picture {output.picture:q}"
        " > {log:q} 2>&1"


rule list_runs:
    input:
        run=[scores_of(run, "run") for run in runs(CONFIG.tables.values(), RANDOM)],
    output:
        page=in_report("results/pages/runs.html", "provenance"),
    log:
        "results/logs/list_runs.log",
    conda:
        "../envs/tables.yaml"
    params:
        code=code("list_runs"),
        runs=json.dumps(runs(CONFIG.tables.values(), RANDOM), sort_keys=True),
    shell:
        "python -m pipeline.stages.list_runs --runs {params.runs:q} --run-json {input.run:q}"
        " --output {output.page:q} > {log:q} 2>&1"
