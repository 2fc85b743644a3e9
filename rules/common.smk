"""The only helpers of the workflow: configuration, run grid, threads, and each job's settings, code and inputs."""

import json
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import available_cpu_count

from pipeline.config import EvaluationConfig, FeaturesConfig
from pipeline.config_files import detector_constant, load
from pipeline.config_files import observation_kind as kind_of
from pipeline.errors import PipelineError
from pipeline.provenance import source_digest

# `--configfile FILE` replaces config/config.yaml; further files and `--config` are merged over it.
try:
    CONFIG = load(Path([*workflow.configfiles, "config/config.yaml"][0]), config)
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
    method=names(CONFIG.methods),
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


# Cards that a job asks for; which it gets, it finds out itself (pipeline/devices.py).
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
    """Whether a run's method sees cached embeddings rather than pixels or state vectors."""
    return kind_of(method_of(wildcards)) in FROM_CACHE


def model_of(wildcards):
    """A method's model and the observations that it reads."""
    return f"models.{wildcards.method}", f"observations.{kind_of(method_of(wildcards))}"


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


# Inputs that depend on a setting.


def published_files(name):
    """The folder of a published artefact; none if a setting names none."""
    return expand(rules.retrieve.output.files, artefact=name) if name else []


def detector_weights(wildcards):
    """The published weights of a job's detector, if it has any."""
    return published_files(features_of(wildcards).detector.published)


def initial_encoder(wildcards):
    """The published weights that an encoder begins with, if it does."""
    return published_files(features_of(wildcards).encoder.published)


def downloaded(wildcards):
    """Whether a dataset is fetched by its name, for it names no file."""
    dataset = dataset_of(wildcards)
    return dataset.name is not None and dataset.file is None


def recording(wildcards):
    """What a dataset's source reads. What is not there is left to the stage, which says how to get it."""
    if downloaded(wildcards):
        return rules.download_dataset.output.folder
    paths = [Path(RESOURCES, file) for file in dataset_of(wildcards).files]
    return [str(path) for path in paths if path.exists()]


def below(wildcards):
    """The folder that the place of a dataset's files is relative to."""
    if downloaded(wildcards):
        return expand(rules.download_dataset.output.folder, dataset=wildcards.dataset)
    return RESOURCES


def text_of(wildcards):
    """The file that a language model's text is read from, if it is one of this machine."""
    language_model = CONFIG.language_models[wildcards.language_model]
    return [language_model.name] if language_model.source == "file" else []


def wording(wildcards):
    """The sentences that an environment's prompts are made of."""
    return f"{RESOURCES}/{environment_of(wildcards).wording}"


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


def share_of(wildcards):
    """Which share of the work a shard is."""
    shard = getattr(wildcards, "scatteritem", None)
    return ["--shard", shard] if shard else []


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
    if kind_of(method_of(wildcards)) == "pixels":
        return rules.shrink_frames.output.pixels
    return rules.collect_trajectories.output.trajectories


def training_inputs(wildcards):
    """What training reads; the language model only if the policy begins with its layers."""
    inputs = {
        "trajectories": rules.collect_trajectories.output.trajectories,
        "observations": observations(wildcards),
    }
    method = method_of(wildcards)
    if method.policy.initial_weights == "language_model":
        name = method.language_model
        made = (
            rules.take_layers
            if CONFIG.language_models[name].published
            else rules.pretrain_language_model
        )
        inputs["language_model"] = expand(made.output.model, language_model=name)
    return inputs


def acting_inputs(wildcards):
    """What the acting loop reads beside a policy; prompts and encoder only if it sees embeddings."""
    inputs = {"trajectories": rules.collect_trajectories.output.trajectories}
    if reads_embeddings(wildcards):
        inputs["prompts"] = expand(rules.write_prompts.output.prompts, **place(wildcards))
        inputs["encoder"] = encoder_folder(wildcards)
        inputs["detector_weights"] = detector_weights(wildcards)
    return inputs


def playing_inputs(wildcards):
    """Those and the policy itself."""
    return {**acting_inputs(wildcards), "policy": rules.train_policy.output.policy}


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
