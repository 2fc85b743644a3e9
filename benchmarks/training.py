"""Training steps per second: our methods, and our transformer against Hugging Face's.

The fair pair are `core` and `Hugging Face`: tokens (return, state, action) of random vector
states, continuous actions and mean squared error, at equal width, depth, heads, context and batch,
both with AdamW and clipped gradients; attention weights have no dropout in either. Our methods
train as the workflow does (`pipeline.training.loop.train`), on a little recorded Breakout.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from benchmarks import _timing
from benchmarks._stages import GAME, configuration, stage_one
from benchmarks._vector_models import ACTION, STATE, Core, Peer, Size
from pipeline.config.schema import Precision, TrainingConfig
from pipeline.training import loop
from pipeline.training.optimizer import Optimizer
from pipeline.training.preparation import prepare, recordings

METHODS = ("more3s", "decision_transformer", "behaviour_cloning")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def vector_trainer(model: nn.Module, size: Size, precision: str, steps: int) -> Callable[[], None]:
    """Trains `model` on random windows, `steps` steps per call."""
    optimizer = Optimizer(model, TrainingConfig()).adamw
    shape = (size.batch, size.context)
    states, actions, returns = (torch.randn(*shape, n) for n in (STATE, ACTION, 1))
    time = torch.arange(size.context).expand(shape)

    def train() -> None:
        model.train()
        for _ in range(steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                loss = (model(states, actions, returns, time).float() - actions).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return train


def method_trainer(
    folder: Path, method: str, precision: Precision, steps: int
) -> Callable[[], object]:
    """Trains a method of the default configuration on what stage one wrote into `folder`."""
    config = configuration()
    chosen = config.method(method, dataset=GAME)
    limits = {"steps": steps, "evaluate_every": steps, "held_out_fraction": 0.0}
    settings = chosen.training.model_copy(update={**limits, "precision": precision})
    observed = folder / ("cache.h5" if method == "more3s" else "pixels.h5")
    environments = [config.environments[GAME]]
    recorded = recordings(environments, [folder / "trajectories.h5"], [observed])
    policy, windows, _ = prepare(chosen, recorded, seed=0)
    return lambda: loop.train(policy, windows, settings, seed=0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = _timing.parser(__doc__, repeats=3)
    parser.add_argument("--steps", type=int, default=10, help="per repeat (default: 10)")
    sizes = {"width": 128, "layers": 3, "heads": 1, "context": 20, "batch": 64}
    for name, value in sizes.items():
        parser.add_argument(
            f"--{name}", type=int, default=value, help=f"of the fair pair (default: {value})"
        )
    chosen = parser.parse_args(arguments)
    _timing.start(chosen.threads)
    size = Size(**{name: getattr(chosen, name) for name in sizes})
    work: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage_one(folder, 1000, chosen.threads)
        for precision in PRECISIONS:
            for label, model in (("core", Core(size)), ("Hugging Face", Peer(size))):
                work[f"{label}, {precision}"] = vector_trainer(model, size, precision, chosen.steps)
            for method in METHODS:
                trainer = method_trainer(folder, method, precision, chosen.steps)
                work[f"{method}, {precision}"] = trainer
        seconds = _timing.medians(work, chosen.repeats)
    rows: list[_timing.Row] = []
    for what, time in seconds.items():
        row: _timing.Row = {"what": what, "steps/s": chosen.steps / time}
        if what.startswith("core"):
            row["Hugging Face takes × as long"] = seconds[f"Hugging Face{what[4:]}"] / time
        rows.append(row)
    title = ", ".join(f"{name} {value}" for name, value in vars(size).items())
    _timing.report(f"Training; core and Hugging Face: {title}", rows, chosen.threads)


if __name__ == "__main__":
    main()
