"""What planners cost, and how far ahead their models are right: pictures beside the tables.

Both read policies that tables have trained, and train no policy. Times depend on the machine and on what else it does, so
`planning_cost` is no part of the promise that the same seeds give the same bytes.
"""


localrules:
    compare_planning_costs,
    compare_predictions,


COMPARED = {"timed": places_of_runs(timed=True), "runs": places_of_runs(priced=True)}


rule time_decisions:
    """How long decisions of a trained policy take on this machine."""
    input:
        unpack(acting_inputs),
        policy=trained(rules.train_policy.output.policy),
    output:
        decisions="results/runs/{dataset}/{method}/{variant}/seed-{seed}/decisions.csv",
    log:
        "results/logs/time_decisions/{dataset}/{method}/{variant}/seed-{seed}.log",
    conda:
        acting_environment
    threads: slots(1)
    resources:
        mem_mb=memory_with_detector(2000),
        runtime=60,
        gpu=GPUS,
    params:
        **stage("time_decisions", *ACTING_PLUGINS, options=device_options, **TIMING),
    shell:
        STAGE


rule compare_planning_costs:
    """Time of a decision beside the score, of all rows of tables that are timed; and a picture."""
    input:
        decisions=each(rules.time_decisions.output.decisions, RUNS.where(timed=True)),
        episodes=each(rules.evaluate_policy.output.episodes, RUNS.where(priced=True)),
        run=each(rules.evaluate_policy.output.run, RUNS.where(priced=True)),
        published=f"{RESOURCES}/published_costs.csv",
    output:
        csv="results/planning_cost.csv",
        markdown="results/planning_cost.md",
        picture=in_report("results/planning_cost.png", "planning_cost"),
    log:
        "results/logs/compare_planning_costs.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage("compare_planning_costs", **COMPARED),
    shell:
        STAGE


rule predict_states:
    """How far ahead the model of a trained policy is right, and what is simpler."""
    input:
        unpack(predicted_embeddings),
        policy=trained(rules.train_policy.output.policy),
        trajectories=rules.collect_trajectories.output.trajectories,
    output:
        errors="results/runs/{dataset}/{method}/{variant}/seed-{seed}/prediction.csv",
    log:
        "results/logs/predict_states/{dataset}/{method}/{variant}/seed-{seed}.log",
    conda:
        "../envs/policy.yaml"
    threads: slots(1)
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **stage("predict_states", model_of, **PREDICTING),
    shell:
        STAGE


rule compare_predictions:
    """Errors of predicted states by steps ahead, of all planners that have a model; and a picture."""
    input:
        errors=each(rules.predict_states.output.errors, RUNS.where(predicting=True)),
    output:
        csv="results/horizon_accuracy.csv",
        picture=in_report("results/horizon_accuracy.png", "horizon_accuracy"),
    log:
        "results/logs/compare_predictions.log",
    conda:
        "../envs/tables.yaml"
    params:
        **stage("compare_predictions", runs=places_of_runs(predicting=True)),
    shell:
        STAGE
