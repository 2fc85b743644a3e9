"""Stage one against the authors' way of doing it, on recorded Breakout: seconds, memory, bytes.

Every rung of the ladder from theirs to ours is a process of its own on the same steps, detector and
weights (`_rungs.py` says what each does); rounds run all rungs in turn. Steps are taken in
stretches of 50, evenly from five times as many. Seconds are of the work alone, without start and
loading; CPU seconds are of all threads. `--floor` counts the operations and says how near to the
machine's matrix products the time is; with `--device cuda` that is all that is measured.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import _floor, _timing
from benchmarks._stages import GAME, ROOT, Options, configuration, run
from pipeline.config.schema import FeaturesConfig
from pipeline.data.trajectories import load
from pipeline.environments import make
from pipeline.features import encoders, feature_cache
from pipeline.features.prompts import Prompts
from pipeline.hardware import devices
from pipeline.io.artefact import Artefact, ArtefactWriter

RUNGS = {
    "naive": "theirs, LXMERT on one step at a time",
    "authors": "theirs, LXMERT on 64 steps at a time",
    "batched": "+ detector in batches, nothing grown",
    "deduplicated": "+ each distinct frame and pair once",
    "factorised": "+ each layer on what it depends on",
    "ours": "+ no padding, float16 blocks: this pipeline",
    "bfloat16": "this pipeline, precision: bfloat16",
}
STRETCH = 50


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = _timing.parser(__doc__, repeats=1)
    parser.add_argument("--steps", type=int, default=1000, help="steps (default: 1000)")
    parser.add_argument(
        "--full-size",
        action="store_true",
        help="features and LXMERT of the size of `lxmert_full`, random weights",
    )
    parser.add_argument("--rungs", nargs="+", choices=list(RUNGS), default=list(RUNGS))
    parser.add_argument("--floor", action="store_true", help="count operations and bytes as well")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="of --floor")
    chosen = parser.parse_args(arguments)
    features = sized(chosen.full_size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, features, chosen.steps)
        if chosen.device == "cpu":
            ladder(folder, features, chosen.rungs, chosen.repeats, chosen.threads)
        if chosen.floor or chosen.device == "cuda":
            _timing.start(chosen.threads)
            rows, title = _floor.compare(folder, features, devices.claim(chosen.device))
            _timing.report(title, rows, chosen.threads)


def sized(full_size: bool) -> FeaturesConfig:
    """The compact features, or those of the full LXMERT with random weights and our detector."""
    known = configuration().features
    compact, full = known["compact"], known["lxmert_full"]
    if not full_size:
        return compact
    size = {"feature_size": full.detector.feature_size}
    detector = compact.detector.model_copy(update=size)
    encoder = full.encoder.model_copy(update={"published": None})
    return full.model_copy(update={"detector": detector, "encoder": encoder})


def prepare(folder: Path, features: FeaturesConfig, steps: int) -> None:
    """Write what every rung reads: chosen steps, their distinct frames, prompts and an encoder."""
    config = configuration()
    environment = config.environments[GAME]
    limits = {"max_epsilon": 1.0, "max_steps": max(5 * steps, 3000), "max_episode_steps": 1000}
    dataset = config.datasets[GAME].model_copy(update=limits).as_json()
    named: Options = {"environment": environment.as_json(), "resources": ROOT / "resources"}
    data, frames = folder / "trajectories.h5", folder / "all.h5"
    run("collect_trajectories", 1, dataset=dataset, **named, trajectories=data)
    named["trajectories"] = data
    run("render_frames", 1, dataset=dataset, **named, frames=frames)
    named["prompt_set"] = features.prompt_set
    run("write_prompts", 1, **named, prompts=folder / "prompts.json")
    every, prompts = Artefact(frames, "frames"), Prompts.read(folder / "prompts.json")
    whole = load(data)
    pairs = feature_cache.distinct_pairs(
        features, whole, every.read("step_frame"), prompts, make(environment).actions
    )
    starts = np.linspace(0, len(pairs.step) - STRETCH, -(-steps // STRETCH)).astype(np.int64)
    taken = np.unique(starts[:, None] + np.arange(STRETCH))[:steps]
    rows, frame = np.unique(pairs.frame[pairs.step[taken]], return_inverse=True)
    np.savez(folder / "steps.npz", frame=frame, prompt=pairs.prompt[pairs.step[taken]])
    with ArtefactWriter(folder / "frames.h5", "frames", {}) as writer:
        writer.create("frames", every.shape("frames")[1:], np.uint8)
        for row in rows.tolist():
            writer.append("frames", every.read("frames", row, row + 1))
    encoders.create(
        features.encoder, features.detector.feature_size, prompts.sentences, folder / "encoder"
    )


def ladder(
    folder: Path, features: FeaturesConfig, rungs: Sequence[str], repeats: int, threads: int
) -> None:
    """Measure all rungs, and print a table."""
    found: dict[str, list[dict[str, float]]] = {rung: [] for rung in rungs}
    for _ in range(repeats):
        for rung in rungs:
            found[rung].append(_measured(folder, features, rung, threads))
    middle = {
        rung: {key: median(one[key] for one in each) for key in each[0]}
        for rung, each in found.items()
    }
    steps = len(np.load(folder / "steps.npz")["frame"])
    first = next(iter(middle.values()))
    rows: list[_timing.Row] = [
        {
            "what": RUNGS[rung],
            "CPU s per 1,000 steps": 1000 * one["cpu"] / steps,
            "wall s per 1,000 steps": 1000 * one["wall"] / steps,
            "times as fast (CPU)": first["cpu"] / one["cpu"],
            "times as fast (wall)": first["wall"] / one["wall"],
            "peak MB": round(one["peak_mb"]),
            "MB on disk": one["bytes"] / 2**20,
            "largest difference": one.get("difference", ""),
        }
        for rung, one in middle.items()
    ]
    frames = Artefact(folder / "frames.h5", "frames").shape("frames")[0]
    size = features.encoder
    layers = f"{size.language_layers}/{size.relationship_layers}/{size.cross_layers}"
    title = f"{steps} steps, {frames} distinct frames; LXMERT {layers}, width {size.width}"
    _timing.report(f"Stage one, recorded Breakout: {title}", rows, threads)


def _measured(folder: Path, features: FeaturesConfig, rung: str, threads: int) -> dict[str, float]:
    if rung == "bfloat16":
        detector = features.detector.model_copy(update={"precision": "bfloat16"})
        features = features.model_copy(update={"precision": "bfloat16", "detector": detector})
        rung = "ours"
    options = {"rung": rung, "features": features.as_json(), "threads": threads}
    options |= {"encoder": folder / "encoder", "prompts": folder / "prompts.json"}
    words = [f"--{key}={value}" for key, value in {**options, "folder": folder}.items()]
    command = [sys.executable, "-m", "benchmarks._rungs", *words]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


if __name__ == "__main__":
    main()
