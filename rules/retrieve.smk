"""What others have published: weights and vocabularies, from their addresses or from a folder."""


rule retrieve:
    output:
        files=directory("results/published/{artefact}"),
    log:
        "results/logs/retrieve/{artefact}.log",
    # Before hours of other work: what cannot be had is to be known at once.
    priority: 100
    conda:
        "../envs/retrieve.yaml"
    threads: slots(1)
    resources:
        mem_mb=500,
        runtime=240,
    params:
        code=code("retrieve"),
        settings=lambda w: options(artefact=CONFIG.published[w.artefact]),
        given=permitted,
    shell:
        "python -m pipeline.stages.retrieve {params.given:q} {params.settings:q}"
        " --output {output.files:q} > {log:q} 2>&1"
