"""MORE-3S: offline trajectories → cached multimodal features → sequence models → tables."""

from snakemake.utils import min_version

min_version("9.27")


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/common_report.smk"
include: "rules/features.smk"
include: "rules/policy.smk"
include: "rules/tables.smk"
include: "rules/report.smk"


localrules:
    all,
    demo,


rule all:
    default_target: True
    input:
        [expand(rules.tabulate.output, table=table) for table in CONFIG.tables],
        # Named so that a deleted one is made again, which Snakemake does not do for what lies between.
        [expand(rules.evaluate_policy.output, **run) for run in TRAINED],
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
        expand(rules.render_table.output.page, table=CONFIG.tables),
        [expand(rules.show_rollout.output.page, **run) for run in SHOWN],
        [expand(rules.draw_attention.output.picture, **run) for run in SHOWN],
        expand(rules.plot_target_sweeps.output.picture, dataset=datasets_of(SWEPT)),
        expand(rules.list_prompts.output.page, dataset=datasets_of(TRAINED)),
        rules.plot_costs.output,
        rules.list_runs.output.page,


rule demo:
    """One game, one seed, one method: a policy that plays, on video, and what its eyes see."""
    input:
        expand(rules.evaluate_policy.output, **TRAINED[0]),
        expand(rules.draw_regions.output.picture, **artefacts_of(REGIONS_DEPEND_ON)[0]),
