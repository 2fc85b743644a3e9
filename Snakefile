"""MORE-3S: offline trajectories → cached multimodal features → sequence models → tables."""

from snakemake.utils import min_version

min_version("9.27")


include: "rules/common.smk"
include: "rules/features.smk"
include: "rules/policy.smk"
include: "rules/tables.smk"


localrules:
    all,
    demo,


rule all:
    default_target: True
    input:
        [expand(rules.tabulate.output, table=table) for table in CONFIG.tables],
        expand(rules.plot_training_curves.output.picture, table=CONFIG.tables),
        expand(rules.plot_performance_profiles.output.picture, table=CONFIG.tables),
        [
            expand(rules.draw_regions.output.picture, **regions)
            for regions in artefacts_of(REGIONS_DEPEND_ON)
        ],
        [
            expand(rules.probe_embeddings.output.probe, **encoder)
            for encoder in artefacts_of(ENCODER_DEPENDS_ON)
        ],


rule demo:
    """One game, one seed, one method: a policy that plays, on video, and what its eyes see."""
    input:
        expand(rules.evaluate_policy.output, **TRAINED[0]),
        expand(rules.draw_regions.output.picture, **artefacts_of(REGIONS_DEPEND_ON)[0]),
