"""Stage one on recorded Breakout, by the commands that the workflow runs, each measured outside."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.experiment import Config
from pipeline.config.load import load
from pipeline.config.schema import FeaturesConfig

ROOT = Path(__file__).parents[1]
GAME = "breakout"
Options = dict[str, str | Path]


@dataclass(frozen=True)
class Measured:
    """One stage as the operating system saw it."""

    seconds: float
    """Wall time, the start of the interpreter and its imports included."""
    peak_mb: float
    """Largest resident set."""
    cpu_seconds: float
    """Of all its threads, in the program and in the system."""


def configuration() -> Config:
    """The default configuration."""
    return load(ROOT / "config" / "config.yaml")


def untrained(features: FeaturesConfig) -> FeaturesConfig:
    """The same features from an encoder that keeps its initial weights: time does not depend on
    them.
    """
    encoder = features.encoder.model_copy(update={"pretraining_steps": 0})
    return features.model_copy(update={"encoder": encoder})


def run(stage: str, threads: int, **options: str | Path) -> Measured:
    """Run `python -m pipeline.stages.<stage>` to its end."""
    named = {"threads": threads, **options}
    arguments = [text for key, value in named.items() for text in (_flag(key), str(value))]
    command = [sys.executable, "-m", f"pipeline.stages.{stage}", *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)  # `wait4` has taken it
    if process.returncode:
        raise SystemExit(f"{stage} failed")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return Measured(seconds, usage.ru_maxrss * unit / 2**20, usage.ru_utime + usage.ru_stime)


def stage_one(folder: Path, steps: int, threads: int) -> dict[str, Measured]:
    """Write trajectories, frames, pixels, prompts, regions, encoder and cache into `folder`.

    Whole episodes, of at most `steps` steps, come close to `steps` in all.
    """
    config = configuration()
    environment = config.environments[GAME].as_json()
    limits: dict[str, object] = {
        "max_steps": steps,
        "max_epsilon": 1.0,
        "max_episode_steps": min(steps, 3000),
    }
    limits["file"] = "demonstrations/broad/breakout.npz"  # the longer one
    dataset = config.datasets[GAME].model_copy(update=limits).as_json()
    compact = untrained(config.features["compact"])
    files = {name: folder / f"{name}.h5" for name in ("trajectories", "frames", "regions", "cache")}
    files |= {"prompts": folder / "prompts.json", "encoder": folder / "encoder"}
    data, frames, regions = files["trajectories"], files["frames"], files["regions"]
    seen = {"frames": frames, "prompts": files["prompts"], "regions": regions}
    settings: Options = {
        "features": compact.as_json(),
        "environment": environment,
        "trajectories": data,
    }
    resources = ROOT / "resources"
    sets: Options = {"environment": environment, "prompt_set": compact.prompt_set}
    sets |= {"resources": resources}
    run(
        "collect_trajectories",
        threads,
        dataset=dataset,
        environment=environment,
        resources=resources,
        trajectories=data,
    )
    run("write_prompts", threads, **sets, trajectories=data, prompts=files["prompts"])
    measured = {
        "render": run(
            "render_frames",
            threads,
            environment=environment,
            dataset=dataset,
            resources=resources,
            trajectories=data,
            frames=frames,
        ),
        "shrink": run("shrink_frames", threads, frames=frames, pixels=folder / "pixels.h5"),
        "detect": run(
            "detect_regions",
            threads,
            detector=compact.detector.as_json(),
            frames=frames,
            regions=regions,
        ),
    }
    curve = folder / "curve.csv"
    run("pretrain_encoder", threads, **settings, **seen, encoder=files["encoder"], curve=curve)
    encoder, cache = files["encoder"], files["cache"]
    measured["encode"] = run(
        "build_cache", threads, **settings, **seen, encoder=encoder, cache=cache
    )
    return measured


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
