"""Helpers of the workflow: configuration, run grid, threads, and each job's settings, code and environment."""

import json
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import available_cpu_count

from pipeline.config.schema import EvaluationConfig, FeaturesConfig
from pipeline.config.load import load
from pipeline.config.plugins import detector_constant, methods
from pipeline.config.plugins import observation_kind as kind_of
from pipeline.errors import PipelineError
from pipeline.provenance.source_digest import source_digest

# `--configfile FILE` replaces config/config.yaml; further files and `--config` are laid over it.
try:
    base, *further = [*workflow.configfiles] or [Path("config/config.yaml")]
    CONFIG = load(base, workflow.config_settings.config, further)
except PipelineError as error:
    sys.exit(f"error: {error}")

# Stages run under the interpreter that runs Snakemake, also where its environment is not activated.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))


# How many jobs detect and encode one data set: `hardware.shards`, or `--set-scatter shards=N`.
scattergather:
    shards=CONFIG.hardware.shards,


RESOURCES = "resources"
# Megabytes that a detector on detectron2 takes, LXMERT at full size beside it included.
DETECTOR_MEMORY = 6000
# The pseudo-method that every table begins with.
RANDOM = {"method": "random", "variant": "default"}


def names(section):
    """A pattern that matches the names of a section of the configuration."""
    return "|".join(re.escape(name) for name in section)


wildcard_constraints:
    dataset=names(CONFIG.datasets),
    features=names(CONFIG.features),
    language_model=names(CONFIG.language_models),
    method=names(methods()),
    variant=names(CONFIG.variants),
    table=names(CONFIG.tables),
    artefact=names(CONFIG.published),
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
                *({"method": method, "variant": variant} for method, variant in table.rows),
            ]
            for seed in table.seeds
        ]
    )


TRAINED = runs(CONFIG.tables.values())


def settings_of(run):
    """A run's settings, from its wildcards as a mapping."""
    return CONFIG.method(run["method"], run["variant"], run["dataset"])


def observing(run):
    """The kind of observation that a run reads."""
    return kind_of(settings_of(run))


# Kinds that are read from the feature cache.
FROM_CACHE = {"embeddings", "embeddings_and_states"}


# Which sections of the features each artefact of stage one depends on. Features that differ from others
# elsewhere share it with them.
REGIONS_DEPEND_ON = ["detector"]
ENCODER_DEPENDS_ON = ["detector", "prompt_set", "encoder", "pairing"]


def artefacts_of(sections):
    """Data sets and features of the artefacts that depend on `sections`, for all runs."""
    return distinct(
        [
            {
                "dataset": run["dataset"],
                "features": CONFIG.shared(settings_of(run).features, *sections),
            }
            for run in TRAINED
            if observing(run) in FROM_CACHE
        ]
    )


REGIONS = artefacts_of(REGIONS_DEPEND_ON)
ENCODERS = artefacts_of(ENCODER_DEPENDS_ON)
CACHES = artefacts_of(FeaturesConfig.model_fields)

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


# Cards that a job asks for; which it gets, it finds out itself (pipeline/hardware/devices.py).
GPUS = 0 if CONFIG.hardware.device == "cpu" else 1


# Settings of a job, from its wildcards.


def dataset_of(wildcards):
    """Which episodes are used."""
    return CONFIG.datasets[wildcards.dataset]


def environment_of(wildcards):
    """The environment of a dataset."""
    return CONFIG.environment(wildcards.dataset)


def method_of(wildcards):
    """A run's method in its variant."""
    return settings_of(dict(wildcards.items()))


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
    paths = {name: [path] if isinstance(path, str) else path for name, path in input.items()}
    named = {"threads": [str(max(1, threads // OVERBOOKED))], **paths}
    return [
        text
        for name, values in named.items()
        if values
        for text in (f"--{name.replace('_', '-')}", *values)
    ]


def permitted(wildcards, threads):
    """How an artefact may be had. Where it came from makes no difference to what it holds."""
    offline = ["--offline", CONFIG.artefacts_dir] if CONFIG.artefacts_dir else []
    confirmed = wildcards.artefact in CONFIG.unverified_artefacts
    return [*offline, *(["--unverified"] if confirmed else [])]


def computing(wildcards, input, threads):
    """The same for a stage that may compute on a graphics card."""
    return [*given(wildcards, input, threads), "--device", CONFIG.hardware.device]


def training(wildcards, input, threads):
    """The same for a training that can be gone on with."""
    every = CONFIG.hardware.save_every
    saving = ["--save-every", str(every)] if every else []
    return [*computing(wildcards, input, threads), *saving]


def train_policy_command(wildcards, input, threads):
    """The stage in its processes, with what is given to each."""
    processes = CONFIG.hardware.processes
    alone, several = ["python"], ["torchrun", "--standalone", "--nproc-per-node", str(processes)]
    start = [*(alone if processes == 1 else several), "-m", "pipeline.stages.train_policy"]
    return [*start, *training(wildcards, input, threads // processes)]


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
        evaluation=CONFIG.evaluation(wildcards.dataset),
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


def kind_of_table(wildcards):
    return f"reporting.tables.{CONFIG.tables[wildcards.table].kind}"


def text_source_of(wildcards):
    return f"language.texts.{CONFIG.language_models[wildcards.language_model].source}"


def source_of(wildcards):
    return f"data.sources.{dataset_of(wildcards).source}"


def family_of(wildcards):
    return f"environments.{environment_of(wildcards).family}"


def detector_of(wildcards):
    return f"vision.detectors.{features_of(wildcards).detector.name}"


def encoder_of(wildcards):
    return f"features.encoders.{features_of(wildcards).encoder.name}"


def reads_embeddings(wildcards):
    """Whether a run's method sees cached embeddings rather than pixels or state vectors."""
    return kind_of(method_of(wildcards)) in FROM_CACHE


def model_of(wildcards):
    """A method's model and the observations that it reads."""
    return f"methods.{wildcards.method}", f"observations.{kind_of(method_of(wildcards))}"


def eyes_of(wildcards):
    """What turns a live frame into the method's observation, as stage one did."""
    return [detector_of(wildcards), encoder_of(wildcards)] if reads_embeddings(wildcards) else []


# The environments of jobs that run a detector: some need a library that the others must do without.


def environment_with_detector(wildcards, otherwise):
    """The detector's own environment if it has one."""
    name = detector_constant(features_of(wildcards).detector.name, "environment")
    return f"../envs/{name or otherwise}.yaml"


def detecting_environment(wildcards):
    return environment_with_detector(wildcards, "features")


def acting_environment(wildcards):
    """That of stage two, unless the policy sees through such a detector."""
    if not reads_embeddings(wildcards):
        return "../envs/policy.yaml"
    return environment_with_detector(wildcards, "policy")


def memory_with_detector(megabytes):
    """What a job needs in all, with a network of detectron2 or without."""

    def needed(wildcards):
        embeddings = hasattr(wildcards, "features") or reads_embeddings(wildcards)
        large = embeddings and detecting_environment(wildcards) != "../envs/features.yaml"
        return megabytes + (DETECTOR_MEMORY if large else 0)

    return needed
