"""Stage one: trajectories → frames → prompts, regions → pretrained encoder → cached embeddings."""


# On a cluster, the machine that starts the jobs is the one with a network.
localrules:
    download_dataset,
    plan,


rule download_dataset:
    """A published data set, by its name, as its publisher lays it out."""
    output:
        folder=directory("results/downloads/{dataset}"),
    log:
        "results/logs/download_dataset/{dataset}.log",
    conda:
        "../envs/features.yaml"
    threads: slots(1)
    resources:
        mem_mb=1000,
        runtime=600,
    params:
        **stage("download_dataset", source_of, dataset=dataset_of),
    shell:
        STAGE


rule collect_trajectories:
    """The episodes of a data set: actions, rewards, starts, and state vectors of robots."""
    input:
        branch(downloaded, then=rules.download_dataset.output.folder, otherwise=resource_files),
    output:
        trajectories="results/trajectories/{dataset}.h5",
    log:
        "results/logs/collect_trajectories/{dataset}.log",
    benchmark:
        "results/benchmarks/collect_trajectories/{dataset}.tsv"
    conda:
        "../envs/features.yaml"
    threads: slots(1)
    resources:
        mem_mb=1000,
        runtime=20,
    params:
        **stage("collect_trajectories", source_of, family_of, **RECORDED),
    shell:
        STAGE


rule render_frames:
    """Each distinct frame of a data set once, drawn by its emulator or simulator."""
    input:
        branch(downloaded, then=rules.download_dataset.output.folder, otherwise=resource_files),
        trajectories=rules.collect_trajectories.output.trajectories,
    output:
        frames="results/frames/{dataset}.h5",
    log:
        "results/logs/render_frames/{dataset}.log",
    benchmark:
        "results/benchmarks/render_frames/{dataset}.tsv"
    conda:
        "../envs/features.yaml"
    threads: slots(1)
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **stage("render_frames", family_of, source_of, **RECORDED),
    shell:
        STAGE


rule export_minari:
    """A data set with its frames in Minari's format, for others to read."""
    input:
        trajectories=rules.collect_trajectories.output.trajectories,
        frames=rules.render_frames.output.frames,
    output:
        folder=directory("results/minari/{dataset}-v0"),
    log:
        "results/logs/export_minari/{dataset}.log",
    conda:
        "../envs/features.yaml"
    threads: slots(1)
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **stage("export_minari", family_of, environment=environment_of, name="{dataset}-v0"),
    shell:
        STAGE


rule write_prompts:
    """The sentences of an environment's actions in one prompt set."""
    input:
        wording,
        trajectories=rules.collect_trajectories.output.trajectories,
    output:
        prompts="results/prompts/{dataset}/{prompt_set}.json",
    log:
        "results/logs/write_prompts/{dataset}/{prompt_set}.log",
    conda:
        "../envs/features.yaml"
    threads: slots(1)
    resources:
        mem_mb=500,
        runtime=5,
    params:
        **stage(
            "write_prompts",
            family_of,
            environment=environment_of,
            prompt_set="{prompt_set}",
            resources=RESOURCES,
        ),
    shell:
        STAGE


rule shrink_frames:
    """The same frames in 84 by 84 grey pixels, for methods that read pixels."""
    input:
        frames=rules.render_frames.output.frames,
    output:
        pixels="results/pixels/{dataset}.h5",
    log:
        "results/logs/shrink_frames/{dataset}.log",
    benchmark:
        "results/benchmarks/shrink_frames/{dataset}.tsv"
    conda:
        "../envs/features.yaml"
    threads: slots(1)
    resources:
        mem_mb=1000,
        runtime=20,
    params:
        **stage("shrink_frames"),
    shell:
        STAGE


rule estimate_costs:
    """What detection and encoding of one data set will take, from a few batches."""
    input:
        frames=rules.render_frames.output.frames,
        prompts=prompts_of,
        trajectories=rules.collect_trajectories.output.trajectories,
        detector_weights=detector_weights,
        published=initial_encoder,
    output:
        estimate="results/plan/{dataset}/{features}.csv",
    log:
        "results/logs/estimate_costs/{dataset}/{features}.log",
    conda:
        detecting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(3000),
        runtime=30,
        gpu=GPUS,
    params:
        **stage("estimate_costs", *SEEING_PLUGINS, options=device_options, **ESTIMATING),
    shell:
        STAGE


rule plan:
    """What detection and encoding will take, on the terminal, before any of it is done."""
    input:
        estimates=each(
            rules.estimate_costs.output.estimate, RUNS.where(from_cache=True), **PLAYED_ON
        ),
    log:
        "results/logs/plan.log",
    conda:
        "../envs/features.yaml"
    params:
        **stage("plan"),
    shell:
        "{params.command:q} 2>&1 | tee {log:q}"


rule detect_regions:
    """Up to N regions of every distinct frame, and their features."""
    input:
        frames=rules.render_frames.output.frames,
        detector_weights=detector_weights,
        shards=shards_of("detect_shard", "regions"),
    output:
        regions="results/regions/{dataset}/{features}.h5",
    log:
        "results/logs/detect_regions/{dataset}/{features}.log",
    benchmark:
        "results/benchmarks/detect_regions/{dataset}/{features}.tsv"
    conda:
        detecting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=60,
        gpu=GPUS,
    params:
        **stage("detect_regions", detector_of, options=device_options, **DETECTING),
    shell:
        STAGE


use rule detect_regions as detect_shard with:
    """A share of the regions, where several jobs detect them."""
    input:
        frames=rules.render_frames.output.frames,
        detector_weights=detector_weights,
    output:
        temp("results/shards/regions/{dataset}/{features}/{scatteritem}.h5.provenance.json"),
        regions=temp("results/shards/regions/{dataset}/{features}/{scatteritem}.h5"),
    log:
        "results/logs/detect_shard/{dataset}/{features}/{scatteritem}.log",
    benchmark:
        "results/benchmarks/detect_shard/{dataset}/{features}/{scatteritem}.tsv"
    params:
        **stage(
            "detect_regions",
            detector_of,
            options=device_options,
            shard="{scatteritem}",
            **DETECTING,
        ),


rule draw_regions:
    """A picture of a few frames with their regions."""
    input:
        frames=rules.render_frames.output.frames,
        regions=regions_of,
    output:
        picture=in_report("results/regions/{dataset}/{features}.png", "regions"),
    log:
        "results/logs/draw_regions/{dataset}/{features}.log",
    conda:
        "../envs/features.yaml"
    threads: slots(1)
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        **stage("draw_regions"),
    shell:
        STAGE


rule pretrain_encoder:
    """The encoder, pretrained on a data set's frames and prompts, and the curve of its losses."""
    input:
        unpack(encoder_inputs),
        trajectories=rules.collect_trajectories.output.trajectories,
        published=initial_encoder,
    output:
        encoder=directory("results/encoders/{dataset}/{features}"),
        curve="results/encoders/{dataset}/{features}.csv",
    log:
        "results/logs/pretrain_encoder/{dataset}/{features}.log",
    benchmark:
        "results/benchmarks/pretrain_encoder/{dataset}/{features}.tsv"
    conda:
        "../envs/features.yaml"
    threads: slots(1)
    resources:
        mem_mb=3000,
        runtime=60,
        gpu=GPUS,
    params:
        **stage("pretrain_encoder", encoder_of, family_of, options=device_options, **ENCODER),
    shell:
        STAGE


rule build_cache:
    """The embeddings O_t of every distinct pair of a frame and a prompt."""
    input:
        unpack(encoder_inputs),
        trajectories=rules.collect_trajectories.output.trajectories,
        encoder=encoder_folder,
        shards=shards_of("encode_shard", "cache"),
    output:
        cache="results/cache/{dataset}/{features}.h5",
    log:
        "results/logs/build_cache/{dataset}/{features}.log",
    benchmark:
        "results/benchmarks/build_cache/{dataset}/{features}.tsv"
    conda:
        "../envs/features.yaml"
    threads: slots(1)
    resources:
        mem_mb=3000,
        runtime=120,
        gpu=GPUS,
    params:
        **stage("build_cache", encoder_of, family_of, options=device_options, **ENCODING),
    shell:
        STAGE


use rule build_cache as encode_shard with:
    """A share of the embeddings, where several jobs encode."""
    input:
        unpack(encoder_inputs),
        trajectories=rules.collect_trajectories.output.trajectories,
        encoder=encoder_folder,
    output:
        temp("results/shards/cache/{dataset}/{features}/{scatteritem}.h5.provenance.json"),
        cache=temp("results/shards/cache/{dataset}/{features}/{scatteritem}.h5"),
    log:
        "results/logs/encode_shard/{dataset}/{features}/{scatteritem}.log",
    benchmark:
        "results/benchmarks/encode_shard/{dataset}/{features}/{scatteritem}.tsv"
    params:
        **stage(
            "build_cache",
            encoder_of,
            family_of,
            options=device_options,
            shard="{scatteritem}",
            **ENCODING,
        ),


rule probe_embeddings:
    """How well coordinates can be read from the encoder's embeddings, before and after pretraining."""
    input:
        unpack(encoder_inputs),
        encoder=encoder_folder,
        published=initial_encoder,
    output:
        probe="results/probe/{dataset}/{features}.csv",
    log:
        "results/logs/probe_embeddings/{dataset}/{features}.log",
    conda:
        "../envs/features.yaml"
    threads: slots(1)
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        **stage("probe_embeddings", encoder_of, **PROBING),
    shell:
        STAGE
