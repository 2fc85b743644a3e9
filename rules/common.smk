"""The only helpers of the workflow: configuration, run grid, threads, and each job's settings, code and inputs."""

import json
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import available_cpu_count

from pipeline.config import EvaluationConfig, FeaturesConfig
from pipeline.config_files import load, observation_kind
from pipeline.errors import PipelineError
from pipeline.provenance import source_digest

# `--configfile FILE` replaces config/config.yaml; further files and `--config` are merged over it.
try:
    CONFIG = load(Path([*workflow.configfiles, "config/config.yaml"][0]), config)
except PipelineError as error:
    sys.exit(f"error: {error}")

# Stages run under the interpreter that runs Snakemake, also where its environment is not activated.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))


# How many jobs detect and encode one data set: `shards` of the configuration, or `--set-scatter shards=N`.
scattergather:
    shards=CONFIG.shards,


RESOURCES = "resources"
GPUS = int(CONFIG.device == "cuda")
# The pseudo-method that every table begins with.
RANDOM = {"method": "random", "variant": "default"}


def names(section):
    """A pattern that matches the names of a section of the configuration."""
    return "|".join(re.escape(name) for name in section)


wildcard_constraints:
    dataset=names(CONFIG.datasets),
    features=names(CONFIG.features),
    language_model=names(CONFIG.language_models),
    method=names(CONFIG.methods),
    variant=names(CONFIG.variants),
    table=names(CONFIG.tables),
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
                "features": CONFIG.shared(
                    CONFIG.method(run["method"], run["variant"]).features, *sections
                ),
            }
            for run in TRAINED
            if observation_kind(run["method"]) == "embeddings"
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
    paths = {name: [path] if isinstance(path, str) else path for name, path in input.items()}
    named = {"threads": [str(max(1, threads // OVERBOOKED))], **paths}
    return [
        text
        for name, values in named.items()
        if values
        for text in (f"--{name.replace('_', '-')}", *values)
    ]


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


def text_source_of(wildcards):
    return f"texts.{CONFIG.language_models[wildcards.language_model].source}"


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


def text_of(wildcards):
    """The file that a language model's text is read from, if it is one of this machine."""
    language_model = CONFIG.language_models[wildcards.language_model]
    return [language_model.name] if language_model.source == "file" else []


def wording(wildcards):
    """The sentences that a game's prompts are made of."""
    return f"{RESOURCES}/prompts/{environment_of(wildcards).game.lower()}.yaml"


def place(wildcards, *sections):
    """Wildcards of a job's stage-one artefacts; of one that depends on `sections` only, those it shares."""
    features = features_name(wildcards)
    return {
        "dataset": wildcards.dataset,
        "features": CONFIG.shared(features, *sections) if sections else features,
        "prompt_set": features_of(wildcards).prompt_set,
    }


def regions_of(wildcards):
    """The regions that a job's detector found."""
    return expand(rules.detect_regions.output.regions, **place(wildcards, *REGIONS_DEPEND_ON))


def encoder_folder(wildcards):
    """The encoder of a job's features."""
    return expand(rules.pretrain_encoder.output.encoder, **place(wildcards, *ENCODER_DEPENDS_ON))


def encoder_inputs(wildcards):
    """What the encoder reads: frames, their regions and the prompts of its set."""
    return {
        "frames": rules.render_frames.output.frames,
        "regions": regions_of(wildcards),
        "prompts": expand(rules.write_prompts.output.prompts, **place(wildcards)),
    }


def encoding_inputs(wildcards):
    """What the cache is made from: all that, the trajectories and the encoder."""
    return {
        **encoder_inputs(wildcards),
        "trajectories": rules.collect_trajectories.output.trajectories,
        "encoder": encoder_folder(wildcards),
    }


def shards_of(rule, wildcards):
    """The shards that `rule` makes of an artefact; none where one job makes it all."""
    paths = gather.shards(rule.output[0], allow_missing=True)
    return expand(paths, **wildcards) if len(paths) > 1 else []


def heavy_options(wildcards):
    """The options of a heavy job: what it runs on and, for a shard, which share of the work is its own."""
    shard = getattr(wildcards, "scatteritem", None)
    return ["--device", CONFIG.device, *(["--shard", shard] if shard else [])]


def names_of(wildcards):
    """What a plan calls a data set and its features, and whose regions those use."""
    regions = CONFIG.shared(wildcards.features, *REGIONS_DEPEND_ON)
    names = {"dataset": wildcards.dataset, "features-name": wildcards.features}
    return [
        text
        for name, value in {**names, "regions-name": regions}.items()
        for text in (f"--{name}", value)
    ]


def observations(wildcards):
    """The artefact that holds the kind of observation a method reads."""
    if reads_embeddings(wildcards):
        return expand(rules.build_cache.output.cache, **place(wildcards))
    return rules.shrink_frames.output.pixels


def training_inputs(wildcards):
    """What training reads; the language model only if the policy begins with its layers."""
    inputs = {
        "trajectories": rules.collect_trajectories.output.trajectories,
        "observations": observations(wildcards),
    }
    method = method_of(wildcards)
    if method.policy.initial_weights == "language_model":
        inputs["language_model"] = expand(
            rules.pretrain_language_model.output.model, language_model=method.language_model
        )
    return inputs


def acting_inputs(wildcards):
    """What the acting loop reads beside a policy; prompts and encoder only if it sees embeddings."""
    inputs = {"trajectories": rules.collect_trajectories.output.trajectories}
    if reads_embeddings(wildcards):
        inputs["prompts"] = expand(rules.write_prompts.output.prompts, **place(wildcards))
        inputs["encoder"] = encoder_folder(wildcards)
    return inputs


def trained_in(wildcards):
    """The runs of a table's methods."""
    return runs([CONFIG.tables[wildcards.table]])


def checkpoints_in(wildcards):
    """Those runs whose checkpoints before the last are played for the table."""
    return trained_in(wildcards) if CONFIG.tables[wildcards.table].checkpoints else []


def scored_in(wildcards):
    """Those and, first, the random policy's."""
    return runs([CONFIG.tables[wildcards.table]], RANDOM)


def scores_of(run, name):
    """The path of one output of a run's evaluation."""
    played = rules.evaluate_random if run["method"] == RANDOM["method"] else rules.evaluate_policy
    return expand(getattr(played.output, name), **run)[0]
