"""MORE-3S: offline trajectories → cached multimodal features → sequence models → tables."""

from snakemake.utils import min_version

min_version("9.27")


report: "report/workflow.rst"


include: "rules/common.smk"


# Beside each rule's `conda:`, for `--sdm apptainer`: docs/cluster.md says how the image is made.
container: CONFIG.hardware.image


include: "rules/common_inputs.smk"
include: "rules/common_settings.smk"
include: "rules/common_report.smk"
include: "rules/retrieve.smk"
include: "rules/features.smk"
include: "rules/policy.smk"
include: "rules/tables.smk"
include: "rules/planners.smk"
include: "rules/report.smk"


# Snakemake's limit of 100 jobs a second makes it look through all waiting jobs once a second, and once more a second for
# every job that has finished: a fifth of Table 2's time on two cores. A cluster's scheduler still wants the limit.
onstart:
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
    progress.watch(Path("results/logs"))


localrules:
    all,


rule all:
    """Every table of the configuration, and what the report shows."""
    default_target: True
    input:
        collect(rules.tabulate.output, table=CONFIG.tables),
        # Named so that a deleted one is made again, which Snakemake does not do for what lies between.
        each(rules.evaluate_policy.output.episodes, RUNS.where(trained=True)),
        each(rules.evaluate_policy.output.run, RUNS.where(trained=True)),
        each(
            rules.probe_embeddings.output.probe,
            RUNS.where(from_cache=True),
            features="encoder",
            **PLAYED_ON,
        ),
        report_contents(),


# What no rule makes is said in one line, with what may have been meant.
if workflow.is_main_process and not IS_MODULE:
    check_targets()
