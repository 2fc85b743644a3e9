"""Whether two checkouts train the same policies: after some updates of every method each tensor has
to be equal, bit for bit on one thread. For a change that is meant to move code and nothing else.

    git worktree add ../before HEAD~1
    python -m benchmarks.same_weights ../before .

Each checkout makes what it needs by its own workflow, stage one included, into its own `results/`.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

METHODS = ("more3s", "decision_transformer", "decision_transformer_glu", "behaviour_cloning")
VARIANT = "same_weights"
RUN = "results/runs/{dataset}/{method}/" + VARIANT + "/seed-0/policy.safetensors"


def train(checkout: Path, targets: Sequence[str], updates: int, threads: int) -> None:
    """Let the workflow of a checkout train; its variant is there only for as long."""
    variant = checkout / "config" / "variants" / f"{VARIANT}.yaml"
    settings = f"steps: {updates}, evaluate_every: {updates}, checkpoint_every: null"
    variant.write_text(f"training: {{{settings}}}\n", encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    options = ["--cores", str(threads), "--set-threads", f"train_policy={threads}"]
    try:
        subprocess.run(
            [sys.executable, "-m", "snakemake", *targets, *options],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout), "PATH": path},
            check=True,
        )
    finally:
        variant.unlink()


def compared(one: Path, other: Path) -> str:
    """`same`, or the first tensor that differs and by how much."""
    ours, theirs = load_file(one), load_file(other)
    if odd := sorted(ours.keys() ^ theirs.keys()):
        return f"{odd[0]} is in one only"
    for name, tensor in ours.items():
        if not torch.equal(tensor, theirs[name]):
            return f"{name} differs by {(tensor.float() - theirs[name].float()).abs().max():.3g}"
    return "same"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, train in both, compare; status 1 where something differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkouts", nargs=2, type=Path)
    parser.add_argument("--threads", type=int, default=1, help="of each training (default: 1)")
    parser.add_argument("--updates", type=int, default=50, help="of each run (default: 50)")
    parser.add_argument("--datasets", nargs="+", default=["breakout", "hopper_medium_expert"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    chosen = parser.parse_args(arguments)
    checkouts = [path.resolve() for path in chosen.checkouts]
    places = {
        (dataset, method): RUN.format(dataset=dataset, method=method)
        for dataset in chosen.datasets
        for method in chosen.methods
    }
    for checkout in checkouts:
        train(checkout, list(places.values()), chosen.updates, chosen.threads)
    ours, theirs = checkouts
    results = {run: compared(ours / place, theirs / place) for run, place in places.items()}
    for (dataset, method), result in results.items():
        print(f"{dataset:24} {method:28} {result}")
    sys.exit(any(result != "same" for result in results.values()))


if __name__ == "__main__":
    main()
