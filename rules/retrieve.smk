"""What others have published: weights and vocabularies, from their addresses or from a folder."""


rule retrieve:
    """The files of what others have published, checked: weights and vocabularies."""
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
        **stage(
            "retrieve", options=download_options, artefact=lambda w: CONFIG.published[w.artefact]
        ),
    shell:
        STAGE
