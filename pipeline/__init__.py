"""MORE-3S as a pipeline: the map of the package, in the order the data flows.

Stage one, once per data set: `environments` (games, one file per family) → `trajectories` (offline
episodes) → `frames` (replay, each distinct frame once) → `prompts` (a sentence per action) →
`detectors`, `regions` (frame → regions) → `encoders`, `step_encoder` (regions and sentence → O_t) →
`cache` (O_t of every distinct pair, on disk), `probe` (what can be read from it).

Stage two, once per run: `windows`, `observations`, `batches` (artefacts → training windows) →
`models` (one sequence model per file) → `training`, `checkpoints` → `evaluation`, `runs`,
`rollout_video` (closed-loop play) → `scores`, `statistics`, `aggregates` → `tables`,
`learning_curves`.

What made what: `host`, `contents`, `records` (a file beside every artefact) → `lineage`,
`lineage_text`, `explanation` (from a table's cell back to the first data).

For the report: `attention` (where a policy looks), `target_sweep` with `sweep_curves` (does it do
what it is asked for), `costs`, `listings`, and `pages` with `markdown` (HTML that stands alone).

Below all of it: `errors`, `plugins` (a name in the configuration is a file name), `config` (the
schema), `config_files`, `provenance` (digests of code), `storage` with `block_cache`, `atomic`. On
top: `stages`, one command per rule of the workflow.

Imports go from later rooms to earlier ones only. The package knows contents and the workflow knows
locations: no path of an artefact is spelled here. `docs/architecture.md` tells it at length.
"""
