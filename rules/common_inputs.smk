"""Inputs of jobs that depend on a setting."""


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


def pretraining_inputs(wildcards):
    """Those, the trajectories that pair them, and published weights to begin with, if any."""
    return {
        **encoder_inputs(wildcards),
        "trajectories": rules.collect_trajectories.output.trajectories,
        "published": initial_encoder(wildcards),
    }


def observations(wildcards):
    """The artefact that holds the kind of observation a method reads."""
    if reads_embeddings(wildcards):
        return expand(rules.build_cache.output.cache, **place(wildcards))
    if method_of(wildcards).policy.observed == "pixels":
        return rules.shrink_frames.output.pixels
    return rules.collect_trajectories.output.trajectories


def training_inputs(wildcards):
    """What training reads; the language model only if the policy begins with its layers."""
    inputs = {
        "trajectories": rules.collect_trajectories.output.trajectories,
        "observations": observations(wildcards),
    }
    method = method_of(wildcards)
    if method.policy.from_language_model:
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
