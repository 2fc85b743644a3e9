"""Settings, plug-ins and environments of jobs, from their wildcards."""

from pipeline.config.schema import EnvironmentConfig, FeaturesConfig

# Every data set of a policy's training: one game or robot, or several games.
TRAINED_ON = names(CONFIG.datasets | CONFIG.together)


def played_of(wildcards):
    """The dataset whose game a job is about: its own, or that which a policy of several games plays."""
    several, on = CONFIG.together.get(wildcards.dataset), getattr(wildcards, "on", "")
    try:
        return driver.played(wildcards.dataset, several and several.together, on)
    except PipelineError as error:
        sys.exit(f"error: {error}")


def parts_of(wildcards):
    """The datasets that a policy is trained on."""
    return CONFIG.parts(wildcards.dataset)


def tasks_of(wildcards):
    """What a policy of several games calls them."""
    return parts_of(wildcards) if wildcards.dataset in CONFIG.together else []


def task_of(wildcards):
    """Which of them is played."""
    return played_of(wildcards) if tasks_of(wildcards) else None


def dataset_of(wildcards):
    """Which episodes are used."""
    return CONFIG.datasets[played_of(wildcards)]


def played_environment_of(wildcards):
    """The environment that is played for a dataset."""
    return CONFIG.environment(played_of(wildcards))


def recorded_environment(dataset):
    """The same as recordings need it: who serves in play must not replay or train anew."""
    environment = CONFIG.environment(dataset)
    if CONFIG.datasets[dataset].source == "scripted":  # its data are played
        return environment
    serve = EnvironmentConfig.model_fields["serve"].default
    return environment.model_copy(update={"serve": serve})


def environment_of(wildcards):
    """The environment that a dataset was recorded in."""
    return recorded_environment(played_of(wildcards))


def trained_environments_of(wildcards):
    """The same for every dataset of a training."""
    return [recorded_environment(part) for part in parts_of(wildcards)]


# Merging settings takes a while, and every job of a run asks for them.
run_settings = cache(CONFIG.method)
trained_as = cache(CONFIG.trained_as)


def run_of(wildcards):
    """Variant and seed of a job's run. A bundle that names none has those of the run that the report shows."""
    known = dict(wildcards.items())
    if "variant" not in known and (named := re.fullmatch(r"-(.+)-seed-(\d+)", known["run"])):
        known |= {"variant": named[1], "seed": named[2]}
    if "variant" not in known:
        place = {"dataset": wildcards.dataset, "method": wildcards.method}
        shown = RUNS.where(shown=True, **place)
        known |= shown[0].place if shown else {"variant": "default", "seed": 0}
    return {key: known[key] for key in ("variant", "seed") if key in known}


def method_of(wildcards):
    """The settings of a run, in a table or not."""
    return run_settings(wildcards.method, run_of(wildcards)["variant"], wildcards.dataset)


def played_method_of(wildcards):
    """The same for a job that plays."""
    return method_of(wildcards).needed()


def trained_method_of(wildcards):
    """The same without what only play depends on."""
    return method_of(wildcards).trained()


def features_of(wildcards):
    """Settings of stage one for a job: by its own wildcard, or what its method reads."""
    return CONFIG.features[getattr(wildcards, "features", None) or method_of(wildcards).features]


def encoder_features_of(wildcards):
    """The same for a job that pretrains an encoder: no other setting makes it anew."""
    features = features_of(wildcards)
    return FeaturesConfig(**{name: getattr(features, name) for name in ENCODER_DEPENDS_ON})


def probed_features_of(wildcards):
    """The same for a job that encodes frames with it, in the precision of the cache."""
    precision = features_of(wildcards).precision
    return encoder_features_of(wildcards).model_copy(update={"precision": precision})


def observed_features_of(wildcards):
    """The same for a job that plays; a method that reads no embeddings does not play anew with others."""
    return features_of(wildcards) if reads_embeddings(wildcards) else FeaturesConfig()


def feature_wildcards(wildcards, *sections, dataset=None):
    """Wildcards of a job's stage-one artefacts; of one that depends on `sections` only, those it shares."""
    name = getattr(wildcards, "features", None) or method_of(wildcards).features
    return {
        "dataset": dataset or played_of(wildcards),
        "features": CONFIG.shared(name, *sections) if sections else name,
        "prompt_set": CONFIG.features[name].prompt_set,
    }


def language_model_of(wildcards):
    """Text and size of a language model."""
    return CONFIG.language_models[wildcards.language_model]


def table_of(wildcards):
    """The grid of a table, game by game."""
    return CONFIG.table(wildcards.table)


def environments_of(wildcards):
    """Each dataset of a table → its environment."""
    names = table_of(wildcards).datasets
    return {name: CONFIG.environment(name).model_dump(mode="json") for name in names}


def estimated_regions(wildcards):
    """Whose regions a data set's features use."""
    return feature_wildcards(wildcards, *REGIONS_DEPEND_ON)["features"]


def licences_of(wildcards):
    """Published weights that a bundle holds or began with, with their licences."""
    method, names = method_of(wildcards), []
    if reads_embeddings(wildcards):
        features = features_of(wildcards)
        names += [features.detector.published, features.encoder.published]
    if method.policy.from_language_model:
        names.append(CONFIG.language_models[method.language_model].published)
    found = {name: CONFIG.published[name].files for name in names if name}
    return {
        name: ", ".join(sorted({file.licence for file in files})) for name, files in found.items()
    }


def timing_of(wildcards):
    """How decisions are timed; other horizons are tried of a method once, not of all its variants."""
    horizons = CONFIG.timing.horizons if wildcards.variant == "default" else []
    return CONFIG.timing.model_copy(update={"horizons": horizons})


# What stages are told.
RECORDED = {"dataset": dataset_of, "environment": environment_of, "resources": resources_dir}
DETECTING = {"detector": lambda wildcards: features_of(wildcards).detector}
ENCODING = {"features": features_of, "environment": environment_of}
ENCODER = {**ENCODING, "features": encoder_features_of}
PROBING = {**ENCODING, "features": probed_features_of}
RECORDINGS = {"environment": trained_environments_of, "task": tasks_of}
TRAINING = {**RECORDINGS, "method": trained_method_of, "seed": "{seed}"}
IN_PROCESSES = {"options": policy_options, "processes": CONFIG.hardware.processes}
PRETRAINING = {"language_model": language_model_of, "options": training_options}
PLAYED = {"environment": played_environment_of, "dataset": dataset_of, "seed": "{seed}"}
ACTING = {
    "features": observed_features_of,
    **PLAYED,
    "task": task_of,
    "method": played_method_of,
}
CHOOSING = {**ACTING, "seed": lambda w: method_of(w).evaluation.choosing_seed}
PREDICTING = {
    "method": trained_method_of,
    "seed": "{seed}",
    "open_loop_config": lambda wildcards: CONFIG.open_loop,
}
TIMING = {**ACTING, "timing": timing_of}
SWEEPING = {**ACTING, "sweep": lambda wildcards: CONFIG.sweep}
BUNDLING = {
    **ACTING,
    "seed": lambda wildcards: run_of(wildcards)["seed"],
    "name": "{dataset}",
    "variant": lambda wildcards: run_of(wildcards)["variant"],
    "scale": lambda wildcards: CONFIG.scale,
    "licences": licences_of,
}
DECLARED = {"table": table_of, "environments": environments_of}
AT_RANDOM = {
    **PLAYED,
    "evaluation": lambda wildcards: CONFIG.evaluation(wildcards.dataset),
}
ESTIMATING = {
    **ENCODING,
    "dataset": "{dataset}",
    "features_name": "{features}",
    "regions_name": estimated_regions,
}


# Modules that a stage loads by name.


def source_of(wildcards):
    return f"data.sources.{dataset_of(wildcards).source}"


def family_of(wildcards):
    return f"environments.{CONFIG.environment(parts_of(wildcards)[0]).family}"


def detector_of(wildcards):
    return f"vision.detectors.{features_of(wildcards).detector.name}"


def encoder_of(wildcards):
    return f"features.encoders.{features_of(wildcards).encoder.name}"


def text_source_of(wildcards):
    return f"language.texts.{language_model_of(wildcards).source}"


def table_builder(wildcards):
    return f"reporting.tables.{table_of(wildcards).kind}"


def observation_of(wildcards):
    """The kind of observation that a run's method reads."""
    return method_of(wildcards).policy.observed


def reads_embeddings(wildcards):
    """Whether a run's method sees cached embeddings rather than pixels or state vectors."""
    return method_of(wildcards).policy.embedded


def model_of(wildcards):
    """A method's model, the observations that it reads, and its settings' class if it has its own."""
    method = wildcards.method
    own = [f"config.methods.{method}"] if method in plugin_names("config.methods") else []
    return f"methods.{method}", f"observations.{observation_of(wildcards)}", *own


def observer_plugins(wildcards):
    """What turns a live frame into the method's observation, as stage one did."""
    return (detector_of(wildcards), encoder_of(wildcards)) if reads_embeddings(wildcards) else ()


SEEING_PLUGINS = (detector_of, encoder_of, family_of)
ACTING_PLUGINS = (model_of, observer_plugins, family_of)


# The environments of jobs that run a detector: some need a library that the others must do without.

own_environment = cache(lambda detector: detector_constant(detector, "environment"))


def detecting_environment(wildcards, otherwise="features"):
    """The detector's own environment if it has one."""
    name = own_environment(features_of(wildcards).detector.name)
    return f"../envs/{name or otherwise}.yaml"


def acting_environment(wildcards):
    """That of stage two, unless the policy sees through such a detector."""
    seeing = reads_embeddings(wildcards)
    return detecting_environment(wildcards, "policy") if seeing else "../envs/policy.yaml"


def memory_with_detector(megabytes):
    """What a job needs in all, with a network of detectron2 or without."""

    def needed(wildcards):
        embeddings = hasattr(wildcards, "features") or reads_embeddings(wildcards)
        large = embeddings and own_environment(features_of(wildcards).detector.name)
        return megabytes + (DETECTOR_MEMORY if large else 0)

    return needed
