"""Stage one: trajectories → frames → prompts, regions → pretrained encoder → cached embeddings."""


# On a cluster, the machine that starts the jobs is the one with a network.
localrules:
    download_dataset,
    plan,


rule download_dataset:
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
        code=lambda w: code("download_dataset", source_of(w)),
        settings=lambda w: options(dataset=dataset_of(w)),
        given=given,
    shell:
        "python -m pipeline.stages.download_dataset {params.given:q} {params.settings:q}"
        " --output {output.folder:q} > {log:q} 2>&1"


rule collect_trajectories:
    input:
        recording,
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
        code=lambda w: code("collect_trajectories", source_of(w), family_of(w)),
        settings=lambda w: options(dataset=dataset_of(w), environment=environment_of(w)),
        given=given,
        resources=below,
    shell:
        "python -m pipeline.stages.collect_trajectories {params.given:q} {params.settings:q}"
        " --resources {params.resources:q} --output {output.trajectories:q} > {log:q} 2>&1"


rule render_frames:
    input:
        recording,
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
        code=lambda w: code("render_frames", family_of(w), source_of(w)),
        settings=lambda w: options(environment=environment_of(w), dataset=dataset_of(w)),
        given=given,
        resources=below,
    shell:
        "python -m pipeline.stages.render_frames {params.given:q} {params.settings:q}"
        " --resources {params.resources:q} --output {output.frames:q} > {log:q} 2>&1"


rule export_minari:
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
        code=lambda w: code("export_minari", family_of(w)),
        settings=lambda w: options(environment=environment_of(w)),
        given=given,
    shell:
        "python -m pipeline.stages.export_minari {params.given:q} {params.settings:q}"
        " --name {wildcards.dataset:q}-v0 --output {output.folder:q} > {log:q} 2>&1"


rule write_prompts:
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
        code=lambda w: code("write_prompts", family_of(w)),
        settings=lambda w: options(environment=environment_of(w)),
        given=given,
        resources=RESOURCES,
    shell:
        "python -m pipeline.stages.write_prompts {params.given:q} {params.settings:q}"
        " --prompt-set {wildcards.prompt_set:q} --resources {params.resources:q}"
        " --output {output.prompts:q} > {log:q} 2>&1"


rule shrink_frames:
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
        code=code("shrink_frames"),
        given=given,
    shell:
        "python -m pipeline.stages.shrink_frames {params.given:q}"
        " --output {output.pixels:q} > {log:q} 2>&1"


rule estimate_costs:
    input:
        frames=rules.render_frames.output.frames,
        prompts=lambda w: expand(rules.write_prompts.output.prompts, **place(w)),
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
        code=lambda w: code("estimate_costs", detector_of(w), encoder_of(w), family_of(w)),
        settings=lambda w: encoder_settings(w) + names_of(w),
        given=computing,
    shell:
        "python -m pipeline.stages.estimate_costs {params.given:q} {params.settings:q}"
        " --output {output.estimate:q} > {log:q} 2>&1"


rule plan:
    """What detection and encoding will take, on the terminal, before any of it is done."""
    input:
        estimates=[expand(rules.estimate_costs.output.estimate, **cache) for cache in CACHES],
    log:
        "results/logs/plan.log",
    conda:
        "../envs/features.yaml"
    params:
        given=given,
    shell:
        "python -m pipeline.stages.plan {params.given:q} 2>&1 | tee {log:q}"


rule detect_regions:
    input:
        frames=rules.render_frames.output.frames,
        detector_weights=detector_weights,
        shards=lambda w: shards_of(rules.detect_shard, w),
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
        code=lambda w: code("detect_regions", detector_of(w)),
        settings=lambda w: options(detector=features_of(w).detector) + share_of(w),
        given=computing,
    shell:
        "python -m pipeline.stages.detect_regions {params.given:q} {params.settings:q}"
        " --output {output.regions:q} > {log:q} 2>&1"


use rule detect_regions as detect_shard with:
    input:
        frames=rules.render_frames.output.frames,
        detector_weights=detector_weights,
    output:
        regions=temp("results/shards/regions/{dataset}/{features}/{scatteritem}.h5"),
        record=temp("results/shards/regions/{dataset}/{features}/{scatteritem}.h5.provenance.json"),
    log:
        "results/logs/detect_shard/{dataset}/{features}/{scatteritem}.log",
    benchmark:
        "results/benchmarks/detect_shard/{dataset}/{features}/{scatteritem}.tsv"
    params:
        code=lambda w: code("detect_regions", detector_of(w)),
        settings=lambda w: options(detector=features_of(w).detector) + share_of(w),
        given=computing,


rule draw_regions:
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
        code=code("draw_regions"),
        given=given,
    shell:
        "python -m pipeline.stages.draw_regions {params.given:q}"
        " --output {output.picture:q} > {log:q} 2>&1"


rule pretrain_encoder:
    input:
        unpack(pretraining_inputs),
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
        code=lambda w: code("pretrain_encoder", encoder_of(w), family_of(w)),
        settings=encoder_settings,
        given=computing,
    shell:
        "python -m pipeline.stages.pretrain_encoder {params.given:q} {params.settings:q}"
        " --output {output.encoder:q} --curve {output.curve:q} > {log:q} 2>&1"


rule build_cache:
    input:
        unpack(encoding_inputs),
        shards=lambda w: shards_of(rules.encode_shard, w),
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
        code=lambda w: code("build_cache", encoder_of(w), family_of(w)),
        settings=lambda w: encoder_settings(w) + share_of(w),
        given=computing,
    shell:
        "python -m pipeline.stages.build_cache"
        " {params.given:q} {params.settings:q}"
        " --output {output.cache:q} > {log:q} 2>&1"


use rule build_cache as encode_shard with:
    input:
        unpack(encoding_inputs),
    output:
        cache=temp("results/shards/cache/{dataset}/{features}/{scatteritem}.h5"),
        record=temp("results/shards/cache/{dataset}/{features}/{scatteritem}.h5.provenance.json"),
    log:
        "results/logs/encode_shard/{dataset}/{features}/{scatteritem}.log",
    benchmark:
        "results/benchmarks/encode_shard/{dataset}/{features}/{scatteritem}.tsv"
    params:
        code=lambda w: code("build_cache", encoder_of(w), family_of(w)),
        settings=lambda w: encoder_settings(w) + share_of(w),
        given=computing,


rule probe_embeddings:
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
        code=lambda w: code("probe_embeddings", encoder_of(w)),
        settings=encoder_settings,
        given=given,
    shell:
        "python -m pipeline.stages.probe_embeddings"
        " {params.given:q} {params.settings:q}"
        " --output {output.probe:q} > {log:q} 2>&1"
