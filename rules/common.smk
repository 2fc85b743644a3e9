"""The only helpers of the workflow: configuration, run grid, threads, and each job's settings, code and inputs."""

import json
import os
import sys
from pathlib import Path
from typing import get_args

from snakemake.exceptions import WorkflowError
from snakemake.io import get_wildcard_names
from snakemake.utils import available_cpu_count

from pipeline.config import EvaluationConfig, FeaturesConfig
from pipeline.config_files import load, observation_kind, uses_returns
from pipeline.errors import PipelineError
from pipeline.provenance import source_digest

# `--configfile FILE` replaces config/config.yaml; further files and `--config` are merged over it.
try:
    CONFIG = load(Path([*workflow.configfiles, "config/config.yaml"][0]), config)
except PipelineError as error:
    sys.exit(f"error: {error}")

# Stages run under the interpreter that runs Snakemake, also where its environment is not activated.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))

RESOURCES = "resources"
# The pseudo-method that every table begins with.
RANDOM = {"method": "random", "variant": "default"}


wildcard_constraints:
    dataset="|".join(CONFIG.datasets),
    features="|".join(CONFIG.features),
    method="|".join(CONFIG.methods),
    variant="|".join(CONFIG.variants),
    table="|".join(CONFIG.tables),
    prompt_set="[a-z]+",
    seed=r"\d+",


def distinct(items):
    """The items in order of appearance, each once."""
    return list({json.dumps(item, sort_keys=True): item for item in items}.values())


def runs(tables, *kinds):
    """The runs of some tables, as wildcards: those of `kinds` and of each table's methods and variants."""
    return distinct(
        [
            {"dataset": dataset, "seed": seed, **kind}
            for table in tables
            for dataset in table.datasets
            for kind in [
                *kinds,
                *({"method": m, "variant": v} for m in table.methods for v in table.variants),
            ]
            for seed in table.seeds
        ]
    )


TRAINED = runs(CONFIG.tables.values())
CACHES = distinct(
    [
        {
            "dataset": run["dataset"],
            "features": CONFIG.method(run["method"], run["variant"]).features,
        }
        for run in TRAINED
        if observation_kind(run["method"]) == "embeddings"
    ]
)

# What the report shows of single runs: of every method on a data set the first variant and seed of the tables.
SHOWN = [*{(run["dataset"], run["method"]): run for run in reversed(TRAINED)}.values()][::-1]
SWEPT = [run for run in SHOWN if uses_returns(run["method"])]

# Threads. With `--cores 8` on 2 CPUs Snakemake would start 8 training jobs, which then fight over the CPUs; so a job
# declares its real threads times this factor. Beyond `--threads`, which is for torch, a stage has one thread.
try:
    OVERBOOKED = max(1, workflow.cores // available_cpu_count())
except WorkflowError:  # no --cores, as with --lint
    OVERBOOKED = 1
# Snakemake would tell the numerical libraries the number of slots.
shell.prefix(
    "set -euo pipefail; export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1; "
)


def slots(threads):
    """What a job that runs `threads` threads declares."""
    return threads * OVERBOOKED


# Settings of a job, from its wildcards.


def dataset_of(wildcards):
    """Which episodes are used."""
    return CONFIG.datasets[wildcards.dataset]


def environment_of(wildcards):
    """The environment of a dataset."""
    return CONFIG.environment(wildcards.dataset)


def method_of(wildcards):
    """A run's method in its variant."""
    return CONFIG.method(wildcards.method, wildcards.variant)


def features_name(wildcards):
    """Stage one of a job: its own wildcard, or what its method reads."""
    return getattr(wildcards, "features", None) or method_of(wildcards).features


def features_of(wildcards):
    """Settings of stage one for a job."""
    return CONFIG.features[features_name(wildcards)]


# Options of a stage's command line. Only its own part of the configuration, so that the rest can change freely. They
# are two parameters because Snakemake runs a job again for a changed parameter only if it comes from wildcards alone.


def given(wildcards, input, threads):
    """The threads a job may run, from the slots it was granted, and each named input as `--name path`."""
    paths = {name: str(path) for name, path in input.items()}
    named = {"threads": str(max(1, threads // OVERBOOKED)), **paths}
    return [text for name, value in named.items() for text in (f"--{name}", value)]


def options(**sections):
    """Each section of the configuration as `--name JSON`."""
    return [text for name, part in sections.items() for text in (f"--{name}", part.as_json())]


def encoder_settings(wildcards):
    return options(features=features_of(wildcards), environment=environment_of(wildcards))


def training_settings(wildcards):
    """Without the evaluation's settings: a change of those must not train anew."""
    method = method_of(wildcards).model_copy(update={"evaluation": EvaluationConfig()})
    return options(method=method, environment=environment_of(wildcards))


def acting_settings(wildcards):
    return options(
        method=method_of(wildcards),
        features=features_of(wildcards),
        environment=environment_of(wildcards),
        dataset=dataset_of(wildcards),
    )


def random_settings(wildcards):
    return options(
        environment=environment_of(wildcards),
        dataset=dataset_of(wildcards),
        evaluation=CONFIG.evaluation(),
    )


def environments_of(wildcards):
    """JSON: each dataset of a table → its environment."""
    names = CONFIG.tables[wildcards.table].datasets
    found = {name: CONFIG.environment(name).model_dump(mode="json") for name in names}
    return json.dumps(found, sort_keys=True)


# Code of a job: its stage and the plug-ins that it loads by name.


def code(stage, *plugins):
    """Digest of a stage's code and of plug-ins: edit one of them and the rule runs again."""
    return source_digest(f"pipeline.stages.{stage}", *(f"pipeline.{plugin}" for plugin in plugins))


def source_of(wildcards):
    return f"trajectories.{dataset_of(wildcards).source}"


def family_of(wildcards):
    return f"environments.{environment_of(wildcards).family}"


def detector_of(wildcards):
    return f"detectors.{features_of(wildcards).detector.name}"


def encoder_of(wildcards):
    return f"encoders.{features_of(wildcards).encoder.name}"


def reads_embeddings(wildcards):
    """Whether a run's method sees cached embeddings rather than pixels."""
    return observation_kind(wildcards.method) == "embeddings"


def model_of(wildcards):
    """A method's model and the observations that it reads."""
    return f"models.{wildcards.method}", f"observations.{observation_kind(wildcards.method)}"


def eyes_of(wildcards):
    """What turns a live frame into the method's observation, as stage one did."""
    return [detector_of(wildcards), encoder_of(wildcards)] if reads_embeddings(wildcards) else []


# Inputs that depend on a setting.


def recording(wildcards):
    """The recording that a dataset reads, if its source reads one."""
    file = dataset_of(wildcards).file
    return [f"{RESOURCES}/{file}"] if file else []


def wording(wildcards):
    """The sentences that a game's prompts are made of."""
    return f"{RESOURCES}/prompts/{environment_of(wildcards).game.lower()}.yaml"


def place(wildcards):
    """Wildcards of a job's stage-one artefacts."""
    return {
        "dataset": wildcards.dataset,
        "features": features_name(wildcards),
        "prompt_set": features_of(wildcards).prompt_set,
    }


def encoder_inputs(wildcards):
    """What the encoder reads: frames, their regions and the prompts of its set."""
    return {
        "frames": rules.render_frames.output.frames,
        "regions": rules.detect_regions.output.regions,
        "prompts": expand(rules.write_prompts.output.prompts, **place(wildcards)),
    }


def observations(wildcards):
    """The artefact that holds the kind of observation a method reads."""
    if reads_embeddings(wildcards):
        return expand(rules.build_cache.output.cache, **place(wildcards))
    return rules.shrink_frames.output.pixels


def acting_inputs(wildcards):
    """What the acting loop reads; prompts and encoder only if the method sees embeddings."""
    inputs = {
        "trajectories": rules.collect_trajectories.output.trajectories,
        "policy": rules.train_policy.output.policy,
    }
    if reads_embeddings(wildcards):
        made = place(wildcards)
        inputs["prompts"] = expand(rules.write_prompts.output.prompts, **made)
        inputs["encoder"] = expand(rules.pretrain_encoder.output.encoder, **made)
    return inputs


def attending_inputs(wildcards):
    """What a look at a trained policy's attention reads: what it was trained on, and the policy."""
    return {
        "policy": rules.train_policy.output.policy,
        "trajectories": rules.collect_trajectories.output.trajectories,
        "observations": observations(wildcards),
    }


def trained_in(wildcards):
    """The runs of a table's methods."""
    return runs([CONFIG.tables[wildcards.table]])


def scored_in(wildcards):
    """Those and, first, the random policy's."""
    return runs([CONFIG.tables[wildcards.table]], RANDOM)


def scores_of(run, name):
    """The path of one output of a run's evaluation."""
    played = rules.evaluate_random if run["method"] == RANDOM["method"] else rules.evaluate_policy
    return expand(getattr(played.output, name), **run)[0]


# The report.


# Caption, a file of report/ → section; the menu sorts sections by name, hence the numbers.
SECTIONS = {
    "table": "1 Tables",
    "learning_curves": "2 Learning curves",
    "target_sweeps": "3 Target-return sweeps",
    "rollout": "4 Rollout videos",
    "regions": "5 Boxes on frames",
    "attention": "6 Attention over memory",
    "prompts": "7 Prompt lists",
    "costs": "8 Cost per stage",
    "provenance": "9 Provenance",
}


def in_report(path, caption):
    """An output that `snakemake --report` shows; its wildcards tell it from others of its section."""
    labels = {name: f"{{{name}}}" for name in sorted(get_wildcard_names(path))} or {"runs": "all"}
    place = f"../report/{caption}.rst"
    return report(path, caption=place, category=SECTIONS[caption], labels=labels)


def datasets_of(found):
    """Data sets of some runs."""
    return list(dict.fromkeys(run["dataset"] for run in found))


def swept_on(wildcards):
    """The runs of a data set whose target return is swept."""
    return [run for run in SWEPT if run["dataset"] == wildcards.dataset]


def sweep_settings(wildcards):
    return acting_settings(wildcards) + options(sweep=CONFIG.sweep)


def prompt_sets():
    """All there are, whether a run uses them or not."""
    return get_args(FeaturesConfig.model_fields["prompt_set"].annotation)


def measured():
    """(rule, benchmark file) of every job that has one, in the order the data flow."""
    on_pixels = [run for run in TRAINED if observation_kind(run["method"]) == "pixels"]
    places = {
        "collect_trajectories": [{"dataset": name} for name in datasets_of(TRAINED)],
        "render_frames": [{"dataset": name} for name in datasets_of(TRAINED)],
        "shrink_frames": [{"dataset": name} for name in datasets_of(on_pixels)],
        "detect_regions": CACHES,
        "pretrain_encoder": CACHES,
        "build_cache": CACHES,
        "train_policy": TRAINED,
        "evaluate_policy": TRAINED,
        "sweep_target_return": SWEPT,
        "draw_attention": SHOWN,
    }
    return [
        (name, expand(getattr(rules, name).benchmark, **place)[0])
        for name, found in places.items()
        for place in found
    ]
