"""Stage two: train a sequence model on the cache (or on pixels), play it, play at random."""


rule pretrain_language_model:
    input:
        text_of,
    output:
        model="results/language_models/{language_model}.safetensors",
        tokenizer="results/language_models/{language_model}.json",
        curve="results/language_models/{language_model}.csv",
    log:
        "results/logs/pretrain_language_model/{language_model}.log",
    benchmark:
        "results/benchmarks/pretrain_language_model/{language_model}.tsv"
    conda:
        "../envs/policy.yaml"
    threads: slots(1)
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=GPUS,
    params:
        code=lambda w: code("pretrain_language_model", text_source_of(w)),
        settings=lambda w: options(language_model=CONFIG.language_models[w.language_model]),
        given=training,
    shell:
        "python -m pipeline.stages.pretrain_language_model {params.given:q} {params.settings:q}"
        " --tokenizer {output.tokenizer:q} --output {output.model:q} --curve {output.curve:q} > {log:q} 2>&1"


rule take_layers:
    input:
        published=lambda w: published_files(CONFIG.language_models[w.language_model].published),
    output:
        model="results/published_layers/{language_model}.safetensors",
    log:
        "results/logs/take_layers/{language_model}.log",
    conda:
        "../envs/policy.yaml"
    threads: slots(1)
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        code=code("take_layers"),
        settings=lambda w: options(language_model=CONFIG.language_models[w.language_model]),
        given=given,
    shell:
        "python -m pipeline.stages.take_layers {params.given:q} {params.settings:q}"
        " --output {output.model:q} > {log:q} 2>&1"


rule train_policy:
    input:
        unpack(training_inputs),
    output:
        policy="results/runs/{dataset}/{method}/{variant}/seed-{seed}/policy.safetensors",
        checkpoints=directory("results/runs/{dataset}/{method}/{variant}/seed-{seed}/checkpoints"),
        curve="results/runs/{dataset}/{method}/{variant}/seed-{seed}/curve.csv",
    log:
        "results/logs/train_policy/{dataset}/{method}/{variant}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/train_policy/{dataset}/{method}/{variant}/seed-{seed}.tsv"
    conda:
        "../envs/policy.yaml"
    threads: slots(CONFIG.hardware.processes)
    resources:
        mem_mb=lambda w: CONFIG.hardware.processes * (2000 + method_of(w).training.cache_memory_mb),
        runtime=240,
        gpu=GPUS * CONFIG.hardware.processes,
    params:
        code=lambda w: code("train_policy", *model_of(w), family_of(w)),
        settings=training_settings,
        command=train_policy_command,
    shell:
        "{params.command:q} --seed {wildcards.seed} {params.settings:q}"
        " --output {output.policy:q} --checkpoints {output.checkpoints:q} --curve {output.curve:q} > {log:q} 2>&1"


rule evaluate_policy:
    input:
        unpack(playing_inputs),
    output:
        episodes="results/runs/{dataset}/{method}/{variant}/seed-{seed}/episodes.csv",
        run="results/runs/{dataset}/{method}/{variant}/seed-{seed}/run.json",
    log:
        "results/logs/evaluate_policy/{dataset}/{method}/{variant}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/evaluate_policy/{dataset}/{method}/{variant}/seed-{seed}.tsv"
    conda:
        acting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=120,
        gpu=GPUS,
    params:
        code=lambda w: code("evaluate_policy", *model_of(w), *eyes_of(w), family_of(w)),
        settings=acting_settings,
        given=computing,
    shell:
        "python -m pipeline.stages.evaluate_policy --seed {wildcards.seed} {params.given:q} {params.settings:q}"
        " --episodes-csv {output.episodes:q} --run-json {output.run:q} > {log:q} 2>&1"


rule film_policy:
    input:
        unpack(playing_inputs),
    output:
        video="results/runs/{dataset}/{method}/{variant}/seed-{seed}/rollout.mp4",
    log:
        "results/logs/film_policy/{dataset}/{method}/{variant}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/film_policy/{dataset}/{method}/{variant}/seed-{seed}.tsv"
    conda:
        acting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=30,
        gpu=GPUS,
    params:
        code=lambda w: code("film_policy", *model_of(w), *eyes_of(w), family_of(w)),
        settings=acting_settings,
        given=computing,
    shell:
        "python -m pipeline.stages.film_policy --seed {wildcards.seed} {params.given:q} {params.settings:q}"
        " --video {output.video:q} > {log:q} 2>&1"


rule evaluate_checkpoints:
    input:
        unpack(acting_inputs),
        checkpoints=rules.train_policy.output.checkpoints,
    output:
        episodes="results/runs/{dataset}/{method}/{variant}/seed-{seed}/checkpoints.csv",
    log:
        "results/logs/evaluate_checkpoints/{dataset}/{method}/{variant}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/evaluate_checkpoints/{dataset}/{method}/{variant}/seed-{seed}.tsv"
    conda:
        acting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=240,
        gpu=GPUS,
    params:
        code=lambda w: code("evaluate_checkpoints", *model_of(w), *eyes_of(w), family_of(w)),
        settings=acting_settings,
        given=computing,
    shell:
        "python -m pipeline.stages.evaluate_checkpoints --seed {wildcards.seed} {params.given:q} {params.settings:q}"
        " --episodes-csv {output.episodes:q} > {log:q} 2>&1"


rule evaluate_random:
    input:
        trajectories=rules.collect_trajectories.output.trajectories,
    output:
        episodes="results/runs/{dataset}/random/default/seed-{seed}/episodes.csv",
        run="results/runs/{dataset}/random/default/seed-{seed}/run.json",
    log:
        "results/logs/evaluate_random/{dataset}/seed-{seed}.log",
    conda:
        "../envs/policy.yaml"
    threads: slots(1)
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        code=lambda w: code("evaluate_random", family_of(w)),
        settings=random_settings,
        given=given,
    shell:
        "python -m pipeline.stages.evaluate_random --seed {wildcards.seed} {params.given:q} {params.settings:q}"
        " --episodes-csv {output.episodes:q} --run-json {output.run:q} > {log:q} 2>&1"
