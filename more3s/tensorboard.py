"""The curves of trainings as TensorBoard reads them.

    more3s tensorboard results/runs results/events

writes an event file for each `curve.csv` below the first folder, at the same place below the
second.
"""

from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.io.csv import read_csv

CURVE = "curve.csv"
STEP = "step"


def write(runs: Path, target: Path) -> int:
    """Write the events of every curve below `runs` into `target`; how many curves there were.

    Raises PipelineError where there is none, where one is damaged, or without TensorBoard.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise PipelineError("tensorboard: not installed; run pip install tensorboard") from None
    curves = sorted(runs.rglob(CURVE))
    if not curves:
        raise PipelineError(f"{runs}: no {CURVE} below it; train a policy, or name another folder")
    for curve in curves:
        rows = read_csv(curve, [STEP], "train again")
        with SummaryWriter(str(target / curve.parent.relative_to(runs))) as writer:
            for name in rows.columns.drop(STEP):
                for step, value in rows[[STEP, name]].dropna().itertuples(index=False):
                    writer.add_scalar(str(name), float(value), int(step))
    return len(curves)
