"""MORE-3S as a pipeline: the map of the package, in the order the data flows.

Stage one, once per data set: `environments` (games, one file per family) → `trajectories` (offline
episodes) → `frames` (replay, each distinct frame once) → `prompts` (a sentence per action) →
`detectors`, `regions` (frame → regions) → `encoders`, `step_encoder` (regions and sentence → O_t) →
`cache` (O_t of every distinct pair, on disk), `probe` (what can be read from it), `plan` (what all
this will take).

Stage two, once per run: `windows`, `observations`, `batches` (artefacts → training windows) →
`models` (one sequence model per file) → `texts`, `tokenizer`, `language_model` (what a model may
begin with) → `training`, `checkpoints` → `evaluation`, `runs`, `rollout_video`, `target_sweep`
(closed-loop play) → `episodes`, `scores` → `statistics` (one row), `aggregates` (across games) →
`tables` → `report` (pictures and pages for people).

What made what: `records` (a file beside every artefact, and `explain` from a table's cell back to
the first data).

What others made: `published` (which files), `retrieval` (brings them), `weights`, `array_pickle`
(read them, with nothing in them run), `gpt2` (layers for a policy to begin with).

Below all of it: `errors`, `plugins` (a name in the configuration is a file name), `config` and
`config_data` (the sections), `experiment` (all of them, and the settings of a run), `validation`,
`config_files`, `provenance` (digests of code), `actions` (what they are in an environment), `area`
(pictures shrunk), `optimisation`, `figures`, `devices`, `storage` with `block_cache`, `atomic`,
`parts` (long artefacts: resumed, sharded) with `shards`, `moments`, `overlap` and `disk`.
On top: `stages`, one command per rule of the workflow.

Imports go from later rooms to earlier ones only. The package knows contents and the workflow knows
locations: no path of an artefact is spelled here. `docs/architecture.md` tells it at length.
"""
