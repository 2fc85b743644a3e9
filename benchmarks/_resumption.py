"""A training that is killed and goes on, against one that nothing happens to, on a device.

Dropout and noise are on, so that the state of every random number counts; torch is asked for
algorithms that give the same bytes each time, which training itself does not ask for.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from benchmarks._outcome import Outcome, judged
from benchmarks._random_data import Sizes, built, settings
from pipeline.config.schema import MethodConfig, TrainingConfig
from pipeline.methods import Learner
from pipeline.training import loop
from pipeline.training.resume import Resumption

SAVED, KILLED, STEPS = 3, 4, 6
ON_CARD = 1e-6
"""What differs by chance on a card at least; a lost state makes about the rate, 6e-4."""


class Killed(Exception):
    """In place of a signal."""


def resumed(method: str, kind: str, policy: Mapping[str, object], device: str) -> Outcome:
    """The row of one method that reads one kind of observation.

    On a card, where sums may be in another order each time, a difference passes that is no larger
    than twice that of two trainings which nothing happens to.
    """
    config = settings(method, kind, **policy)
    with deterministic(), TemporaryDirectory() as folder:
        saved = Resumption(Path(folder) / "policy", "killed", SAVED)
        undisturbed = trained(config, device)
        with suppress(Killed):
            trained(config, device, saved, kill=True)
        if not saved.waiting:
            return judged("nothing was saved", "", passes=False)
        difference = largest(undisturbed, trained(config, device, saved))
        least = 0.0
        if device != "cpu":
            least = max(ON_CARD, 2 * largest(undisturbed, trained(config, device)))
    return judged(
        f"weights {difference:.1e}", f"{least:.0e}" if least else "0", difference <= least
    )


def trained(
    config: MethodConfig, device: str, saved: Resumption | None = None, kill: bool = False
) -> dict[str, Tensor]:
    """All weights after STEPS updates, if it is not killed before."""
    learner, windows = built(config, Sizes(), device)
    training = TrainingConfig(
        steps=STEPS,
        batch_size=8,
        warmup_steps=2,
        held_out_fraction=0.0,
        checkpoint_every=KILLED if kill else None,
    )
    keep = _kill if kill else (lambda step, learner: None)
    loop.train(learner, windows, training, 0, keep, saved)
    return {name: weights.detach().cpu() for name, weights in learner.state_dict().items()}


def _kill(step: int, learner: Learner) -> None:
    raise Killed


def largest(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The largest difference of any weight; NaN where one is."""
    pairs = ((each.double(), other[name].double()) for name, each in one.items() if each.numel())
    return float(torch.stack([(a - b).abs().max() for a, b in pairs]).max())


@contextmanager
def deterministic() -> Iterator[None]:
    """Algorithms that give the same bytes each time, where there are any."""
    before = torch.are_deterministic_algorithms_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of those without any
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
