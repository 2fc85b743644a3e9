"""Stage two: train a sequence model on the cache (or on pixels), play it, play at random."""


rule pretrain_language_model:
    """A small language model, whose layers a policy can begin with, its tokenizer and its curve."""
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
        **stage("pretrain_language_model", text_source_of, **PRETRAINING),
    shell:
        STAGE


rule take_layers:
    """The first layers of a published GPT-2, for a policy to begin with."""
    input:
        published=lambda w: published_files(language_model_of(w).published),
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
        **stage("take_layers", language_model=language_model_of),
    shell:
        STAGE


rule train_policy:
    """A policy: one method in one variant on one data set with one seed; its checkpoints and curve."""
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
    wildcard_constraints:
        dataset=TRAINED_ON,
    conda:
        "../envs/policy.yaml"
    threads: slots(CONFIG.hardware.processes)
    resources:
        mem_mb=CONFIG.hardware.processes * (2000 + CONFIG.hardware.cache_memory_mb),
        runtime=240,
        gpu=GPUS * CONFIG.hardware.processes,
    params:
        **stage("train_policy", model_of, family_of, **TRAINING, **IN_PROCESSES),
    shell:
        STAGE


rule choose_action_rule:
    """The temperature and epsilon that a method plays best by, on a seed that no table has."""
    input:
        unpack(seeing_inputs),
        policy=choosing_policy,
    output:
        chosen="results/runs/{dataset}/{method}/{variant}{on}/action_rule.json",
    log:
        "results/logs/choose_action_rule/{dataset}/{method}/{variant}{on}.log",
    benchmark:
        "results/benchmarks/choose_action_rule/{dataset}/{method}/{variant}{on}.tsv"
    wildcard_constraints:
        dataset=TRAINED_ON,
    conda:
        acting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=240,
        gpu=GPUS,
    params:
        **stage("choose_action_rule", *ACTING_PLUGINS, options=device_options, **CHOOSING),
    shell:
        STAGE


rule evaluate_policy:
    """The episodes that a trained policy plays, and the run's description."""
    input:
        unpack(acting_inputs),
        policy=trained(rules.train_policy.output.policy),
    output:
        episodes="results/runs/{dataset}/{method}/{variant}/seed-{seed}{on}/episodes.csv",
        run="results/runs/{dataset}/{method}/{variant}/seed-{seed}{on}/run.json",
    log:
        "results/logs/evaluate_policy/{dataset}/{method}/{variant}/seed-{seed}{on}.log",
    benchmark:
        "results/benchmarks/evaluate_policy/{dataset}/{method}/{variant}/seed-{seed}{on}.tsv"
    wildcard_constraints:
        dataset=TRAINED_ON,
    conda:
        acting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=120,
        gpu=GPUS,
    params:
        **stage("evaluate_policy", *ACTING_PLUGINS, options=device_options, **ACTING),
    shell:
        STAGE


rule film_policy:
    """A video of a trained policy's first episode."""
    input:
        unpack(acting_inputs),
        policy=trained(rules.train_policy.output.policy),
    output:
        video="results/runs/{dataset}/{method}/{variant}/seed-{seed}{on}/rollout.mp4",
    log:
        "results/logs/film_policy/{dataset}/{method}/{variant}/seed-{seed}{on}.log",
    benchmark:
        "results/benchmarks/film_policy/{dataset}/{method}/{variant}/seed-{seed}{on}.tsv"
    wildcard_constraints:
        dataset=TRAINED_ON,
    conda:
        acting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=30,
        gpu=GPUS,
    params:
        **stage("film_policy", *ACTING_PLUGINS, options=device_options, **ACTING),
    shell:
        STAGE


rule bundle_policy:
    """A trained policy with all that it needs to be played, in one folder that loads anywhere."""
    input:
        unpack(bundle_inputs),
    output:
        bundle=directory("results/bundles/{dataset}/{method}{run}"),
    log:
        "results/logs/bundle_policy/{dataset}/{method}{run}.log",
    conda:
        acting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=10,
    params:
        **stage("bundle_policy", *ACTING_PLUGINS, **BUNDLING),
    shell:
        STAGE


rule evaluate_checkpoints:
    """The episodes that the checkpoints before the last play."""
    input:
        unpack(acting_inputs),
        checkpoints=trained(rules.train_policy.output.checkpoints),
    output:
        episodes="results/runs/{dataset}/{method}/{variant}/seed-{seed}{on}/checkpoints.csv",
    log:
        "results/logs/evaluate_checkpoints/{dataset}/{method}/{variant}/seed-{seed}{on}.log",
    benchmark:
        "results/benchmarks/evaluate_checkpoints/{dataset}/{method}/{variant}/seed-{seed}{on}.tsv"
    wildcard_constraints:
        dataset=TRAINED_ON,
    conda:
        acting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=240,
        gpu=GPUS,
    params:
        **stage("evaluate_checkpoints", *ACTING_PLUGINS, options=device_options, **ACTING),
    shell:
        STAGE


rule evaluate_random:
    """The episodes of uniformly random actions, which every table begins with."""
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
        **stage("evaluate_random", family_of, **AT_RANDOM),
    shell:
        STAGE
