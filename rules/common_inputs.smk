"""Inputs of jobs that depend on a setting."""

from pipeline.config.checks import check_several


def published_files(name):
    """The folder of a published artefact; none if a setting names none."""
    return collect(rules.retrieve.output.files, artefact=name) if name else []


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


def given_file(path, reader, named_by):
    """A file that people put there; that it is missing is said before any job runs."""
    try:
        return driver.given_file(path, reader, named_by)
    except PipelineError as error:
        sys.exit(f"error: {error}")


def resource_files(wildcards):
    """The recordings of a dataset."""
    name = played_of(wildcards)
    reader, key = f"data set {name!r}", f"'file' in config/datasets/{name}.yaml"
    return [given_file(Path(RESOURCES, file), reader, key) for file in dataset_of(wildcards).files]


def resources_dir(wildcards):
    """The folder that the place of a dataset's files is relative to."""
    paths = collect(rules.download_dataset.output.folder, dataset=wildcards.dataset)
    return paths[0] if downloaded(wildcards) else RESOURCES


def text_of(wildcards):
    """The file that a language model's text is read from, if it is one of this machine."""
    language_model, name = language_model_of(wildcards), wildcards.language_model
    if language_model.source != "file":
        return []
    key = f"'name' in config/language_models/{name}.yaml"
    return [given_file(Path(language_model.name), f"language model {name!r}", key)]


def wording(wildcards):
    """The sentences that an environment's prompts are made of."""
    environment, name = environment_of(wildcards), dataset_of(wildcards).environment
    key = f"'prompts' or 'game' in config/environments/{name}.yaml"
    return given_file(
        Path(RESOURCES, environment.wording), f"what {environment.game}'s prompts say", key
    )


def prompts_of(wildcards):
    """The prompts of a job's set."""
    return collect(rules.write_prompts.output.prompts, **feature_wildcards(wildcards))


def regions_of(wildcards):
    """The regions that a job's detector found."""
    place = feature_wildcards(wildcards, *REGIONS_DEPEND_ON)
    return collect(rules.detect_regions.output.regions, **place)


def encoder_folder(wildcards):
    """The encoder of a job's features."""
    place = feature_wildcards(wildcards, *ENCODER_DEPENDS_ON)
    return collect(rules.pretrain_encoder.output.encoder, **place)


def encoder_inputs(wildcards):
    """What the encoder reads: frames, their regions and the prompts of its set."""
    return {
        "frames": rules.render_frames.output.frames,
        "regions": regions_of(wildcards),
        "prompts": prompts_of(wildcards),
    }


def observations_of(wildcards):
    """What a run's method observes: of every dataset of its training the artefact that holds it."""
    kind, places = observation_of(wildcards), [{"dataset": part} for part in parts_of(wildcards)]
    path = rules.collect_trajectories.output.trajectories
    if kind == "pixels":
        path = rules.shrink_frames.output.pixels
    elif reads_embeddings(wildcards):
        path = rules.build_cache.output.cache
        places = [feature_wildcards(wildcards, **place) for place in places]
    return [file for place in places for file in collect(path, **place)]


def recorded_inputs(wildcards):
    """What a policy is trained on; that its method can be is said before any job runs."""
    try:
        check_several(CONFIG, wildcards.dataset, wildcards.method, wildcards.dataset)
    except PipelineError as error:
        sys.exit(f"error: {error}")
    trajectories = rules.collect_trajectories.output.trajectories
    return {
        "trajectories": collect(trajectories, dataset=parts_of(wildcards)),
        "observations": observations_of(wildcards),
    }


def predicted_embeddings(wildcards):
    """The cache, where a policy's model is one of embeddings."""
    return {"observations": observations_of(wildcards) if reads_embeddings(wildcards) else []}


def training_inputs(wildcards):
    """The same, and what the policy begins with."""
    begun = {"language_model": initial_layers(wildcards), "first_policy": first_policy(wildcards)}
    return recorded_inputs(wildcards) | begun


def first_policy(wildcards):
    """The policy of another run that a training begins with, if it does."""
    if (first := method_of(wildcards).policy.first_run) is None:
        return []
    place = first._asdict() | {"seed": wildcards.seed if first.seed is None else first.seed}
    place["variant"] = trained_as(first.method, first.variant, first.dataset)
    return collect(rules.train_policy.output.policy, **place)


def shards_of(rule, name):
    """The shards that `rule` makes of an artefact; none where one job makes it all."""

    def shards(wildcards):
        paths = gather.shards(getattr(rules, rule).output[name], allow_missing=True)
        return collect(paths, **wildcards) if len(paths) > 1 else []

    return shards


def initial_layers(wildcards):
    """The language model whose layers a policy begins with, if it does."""
    method = method_of(wildcards)
    if not method.policy.from_language_model:
        return []
    published = CONFIG.language_models[method.language_model].published
    made = rules.take_layers if published else rules.pretrain_language_model
    return collect(made.output.model, language_model=method.language_model)


def trained(path):
    """A function of wildcards: the file that `path` names of the training that a run plays.

    A variant that differs only in play has the policies of the default.
    """

    def found(wildcards, **known):
        place = {
            "dataset": wildcards.dataset,
            "method": wildcards.method,
            **run_of(wildcards),
            **known,
        }
        place["variant"] = trained_as(wildcards.method, place["variant"], wildcards.dataset)
        return collect(path, **place)

    return found


def acting_inputs(wildcards):
    """What the acting loop reads beside a policy, the rule that was chosen for it included."""
    inputs = seeing_inputs(wildcards)
    if method_of(wildcards).evaluation.choose_from:
        place = {"dataset": wildcards.dataset, "method": wildcards.method}
        place |= {"variant": run_of(wildcards)["variant"], "on": getattr(wildcards, "on", "")}
        inputs["action_rule"] = collect(rules.choose_action_rule.output.chosen, **place)
    return inputs


def choosing_policy(wildcards):
    """The policy, in no table, that a run's rule for its actions is chosen with."""
    seed = method_of(wildcards).evaluation.choosing_seed
    return trained(rules.train_policy.output.policy)(wildcards, seed=seed)


def seeing_inputs(wildcards):
    """What a policy is played with; prompts and encoder only if it sees embeddings."""
    trajectories = rules.collect_trajectories.output.trajectories
    inputs = {"trajectories": collect(trajectories, dataset=played_of(wildcards))}
    if reads_embeddings(wildcards):
        inputs["prompts"] = prompts_of(wildcards)
        inputs["encoder"] = encoder_folder(wildcards)
        inputs["detector_weights"] = detector_weights(wildcards)
    return inputs


def bundle_inputs(wildcards):
    """A trained policy, how it did, and what it is played with."""
    place = {"dataset": wildcards.dataset, "method": wildcards.method, "on": ""}
    place |= run_of(wildcards)
    played = rules.evaluate_policy.output
    inputs = acting_inputs(wildcards) | {
        "policy": trained(rules.train_policy.output.policy)(wildcards),
        "episodes": played.episodes,
        "run": played.run,
    }
    return {name: collect(path, **place) for name, path in inputs.items()}
