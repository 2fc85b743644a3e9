"""What all rules share: configuration, table of runs, threads, and the one command that runs a stage."""

import json
import os
import re
import sys
from functools import cache
from pathlib import Path

from snakemake.cli import get_argument_parser
from snakemake.exceptions import WorkflowError
from snakemake.io import flag, get_wildcard_names
from snakemake.path_modifier import PATH_MODIFIER_FLAG
from snakemake.utils import available_cpu_count

from pipeline.config import driver
from pipeline.config.load import load
from pipeline.config.plugins import detector_constant
from pipeline.config.plugins import names as plugin_names
from pipeline.config.runs import ENCODER_DEPENDS_ON, ON, REGIONS_DEPEND_ON, runs_of
from pipeline.config.section import Section
from pipeline.errors import PipelineError
from pipeline.provenance.source_digest import source_digest
from pipeline.reporting import progress

# The folder of this Snakefile. As a `module` of another workflow everything is beside it, and what is to be different is
# in the module's `config`. Otherwise `--configfile FILE` replaces config/config.yaml, further files and `--config` are
# laid over it, and both lie in the current folder, or, with `--directory`, beside the Snakefile.
WORKFLOW = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
IS_MODULE = not workflow.modifier.is_main_snakefile()
try:
    given = (
        driver.given_to_module(config, WORKFLOW)
        if IS_MODULE
        else driver.given(
            workflow.configfiles,
            workflow.config_settings.config,
            WORKFLOW,
            workflow.overwrite_workdir is not None,
            Path("results"),
        )
    )
    RESOURCES = str(given.resources)
    CONFIG = load(given.base, given.values, given.further, given.said_by)
except PipelineError as error:
    sys.exit(f"error: {error}")
if workflow.is_main_process and "APPTAINER" in {
    method.name for method in getattr(workflow.deployment_settings, "deployment_method", ())
}:
    try:
        driver.check_image(CONFIG.hardware.image)
    except PipelineError as error:
        sys.exit(f"error: {error}")
if workflow.is_main_process and not {"--unlock", "--nolock"} & {*sys.argv}:
    if note := driver.lock_note():
        print(note, file=sys.stderr)

# Stages run under the interpreter that runs Snakemake, also where its environment is not activated, and from the
# package beside the Snakefile, in whichever folder.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
    PYTHONPATH=os.pathsep.join(filter(None, [str(WORKFLOW), os.environ.get("PYTHONPATH")])),
)


# How many jobs detect and encode one data set: `hardware.shards`, or `--set-scatter shards=N`.
scattergather:
    shards=CONFIG.hardware.shards,


# Megabytes that a detector on detectron2 takes, LXMERT at full size beside it included.
DETECTOR_MEMORY = 6000


def names(section):
    """A pattern that matches the names of a section of the configuration."""
    return "|".join(re.escape(name) for name in section)


wildcard_constraints:
    dataset=names(CONFIG.datasets),
    features=names(CONFIG.features),
    language_model=names(CONFIG.language_models),
    method=names(plugin_names("methods")),
    variant=names(CONFIG.variants),
    table=names(CONFIG.tables),
    artefact=names(CONFIG.published),
    prompt_set="[a-z]+",
    seed=r"\d+",
    run=rf"(-({names(CONFIG.variants)})-seed-\d+)?",
    # The game that a policy of several is played on; of one it is empty.
    on=rf"({ON}({names(CONFIG.datasets)}))?",


# The table of runs. It is asked as by Snakemake's `lookup`, which needs pandas: a fifth of a dry run's time.

RUNS = runs_of(CONFIG)


def lookup_runs(**values):
    """A function of wildcards: the runs with these values in these columns; a value may name wildcards."""

    def found(wildcards):
        known = dict(wildcards.items())
        texts = {key: value for key, value in values.items() if isinstance(value, str)}
        return RUNS.where(**values | {key: text.format(**known) for key, text in texts.items()})

    return found


def every(path, runs, **columns):
    """The file that `path` names of every run. `columns`: those that wildcards of another name stand for."""
    names = get_wildcard_names(path)
    found = {name: [getattr(run, columns.get(name, name)) for run in runs] for name in names}
    files = collect(path, zip, **found)
    # A module's prefix is in them already, which Snakemake forgets of benchmarks and would put before them again.
    return [flag(file, PATH_MODIFIER_FLAG) for file in files] if IS_MODULE else files


# Of what a game has whoever is trained on it.
PLAYED_ON = {"dataset": "played"}


def each(path, runs, **columns):
    """The same, each file once."""
    return list(dict.fromkeys(every(path, runs, **columns)))


def of_runs(path, columns={}, **values):
    """A function of wildcards: the file that `path` names of every run that `lookup_runs` finds."""
    found = lookup_runs(**values)
    return lambda wildcards: every(path, found(wildcards).distinct, **columns)


def places_of_runs(**values):
    """A function of wildcards: game, method, variant and seed of the same runs."""
    found = lookup_runs(**values)
    return lambda wildcards: found(wildcards).places


# Threads. With `--cores 8` on 2 CPUs Snakemake would start 8 training jobs, which then fight over the CPUs; so a job
# declares its real threads times this factor. Beyond `--threads`, which is for torch, a stage has one thread.
try:
    OVERBOOKED = max(1, workflow.cores // available_cpu_count())
except WorkflowError:  # no --cores, as with --lint
    OVERBOOKED = 1
# Snakemake would tell the numerical libraries the number of slots. Bars go into logs, where seconds do not matter.
shell.prefix(
    "set -euo pipefail; export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 TQDM_MININTERVAL=5; "
)


def slots(threads):
    """What a job that runs `threads` threads declares."""
    return threads * OVERBOOKED


# Cards that a job asks for; which it gets, it finds out itself (pipeline/hardware/devices.py).
GPUS = 0 if CONFIG.hardware.device == "cpu" else 1


# The command that runs a stage. Its settings are only its own part of the configuration, so that the rest can change
# freely. `code` and `settings` come from wildcards alone, so Snakemake runs a job again when they change; `command`
# depends on inputs and threads too, so it does not.

STAGE = "{params.command:q} {params.settings:q} > {log:q} 2>&1"


def stage(name, /, *plugins, options=None, processes=1, **settings):
    """The parameters of a rule that runs the stage `name`; its options have the names of the rule's inputs and outputs.

    `plugins`: functions of wildcards that name modules which the stage loads by name. `options`: one that gives options
    which change no result. `settings`: options that do; each a text with wildcards or a function of them.
    """

    def code(wildcards):
        return digest(f"pipeline.stages.{name}", *[plugin(wildcards) for plugin in plugins])

    def told(wildcards):
        known = dict(wildcards.items())
        values = {
            key: value.format(**known) if isinstance(value, str) else value(wildcards)
            for key, value in settings.items()
        }
        return [word for key, value in values.items() for word in words(key, value)]

    def command(wildcards, input, output, threads):
        several = ["torchrun", "--standalone", "--nproc-per-node", str(processes)]
        limit = max(1, threads // processes // OVERBOOKED)
        return [
            *(["python"] if processes == 1 else several),
            *("-m", f"pipeline.stages.{name}", "--threads", str(limit)),
            *paths(input),
            *paths(output),
            *(options(wildcards) if options else []),
        ]

    return {"code": code, "settings": told, "command": command}


def words(name, value):
    """An option on a command line; none if there is no value."""
    flag = f"--{name.replace('_', '-')}"
    match value:
        case None | False | []:
            return []
        case True:
            return [flag]
        case Section():
            return [flag, value.as_json()]
        case str() | int():
            return [flag, str(value)]
        case [str(), *_]:
            return [flag, *value]
        case [Section(), *_]:
            return [flag, *(section.as_json() for section in value)]
    return [flag, json.dumps(value, sort_keys=True)]


def paths(files):
    """Named inputs or outputs as options."""
    named = {name: [path] if isinstance(path, str) else [*path] for name, path in files.items()}
    return [word for name, found in named.items() for word in words(name, found)]


def device_options(wildcards):
    """For a stage that may compute on a graphics card."""
    return words("device", CONFIG.hardware.device)


def training_options(wildcards):
    """The same for a training that can be gone on with."""
    return [*device_options(wildcards), *words("save_every", CONFIG.hardware.save_every)]


def policy_options(wildcards):
    """The same for a policy's, which holds observations in memory."""
    memory = words("cache_memory_mb", CONFIG.hardware.cache_memory_mb)
    return [*training_options(wildcards), *memory]


def download_options(wildcards):
    """How an artefact may be had. Where it came from makes no difference to what it holds."""
    confirmed = wildcards.artefact in CONFIG.unverified_artefacts
    return [*words("offline", CONFIG.artefacts_dir), *words("unverified", confirmed)]


def check_targets():
    """End with one line where a target is none. Snakemake tells of its targets only after the rules are read."""
    if Path(sys.argv[0]).parent.name != "snakemake" and Path(sys.argv[0]).name != "snakemake":
        return  # not started by a command line
    targets = get_argument_parser().parse_known_args(sys.argv[1:])[0].targets
    found = {rule.name: rule for rule in workflow.rules}
    try:
        driver.check_targets(
            targets,
            {name: rule.has_wildcards() for name, rule in found.items()},
            [file for file in targets if any(rule.is_producer(file) for rule in found.values())],
            target_examples(),
        )
    except PipelineError as error:
        sys.exit(f"error: {error}")


def target_examples():
    """Files that people ask for, to guess which one was meant."""
    trained, seeing = RUNS.where(trained=True), RUNS.where(from_cache=True)
    yield from collect(rules.tabulate.output, table=CONFIG.tables)
    yield from each(rules.evaluate_policy.output.episodes, trained)
    yield from each(rules.train_policy.output.policy, trained, variant="trained_as")
    bundle = rules.bundle_policy.output.bundle
    for run in trained:
        for name in ("", f"-{run.variant}-seed-{run.seed}"):
            yield from collect(bundle, dataset=run.dataset, method=run.method, run=name)
    for stage_one in (rules.collect_trajectories, rules.render_frames, rules.shrink_frames):
        yield from collect(stage_one.output[0], dataset=CONFIG.datasets)
    yield from each(rules.build_cache.output.cache, seeing)


@cache
def digest(stage, *plugins):
    """Of a stage's code and of plug-ins: edit one of them and the rule runs again."""
    named = [[plugin] if isinstance(plugin, str) else plugin for plugin in plugins]
    return source_digest(stage, *(f"pipeline.{name}" for names in named for name in names))
