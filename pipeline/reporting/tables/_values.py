"""What the rows of a table that learn values hold their play to be worth, beside what it was."""

import pandas as pd

from pipeline.reporting.formatting import figure, markdown_grid
from pipeline.reporting.tables import printed
from pipeline.reporting.trainings import MEASURED, VALUES

Q = "held_out_q"
SHOWN = {"held_out_accuracy": "accuracy", "held_out_mse": "squared error", **VALUES}
"""Columns of a training curve, in the order they are printed."""
EXPLAINED = (
    "Values when training ended, on held-out steps, means over seeds. Accuracy or squared error: "
    "of the played action against the recorded one. Q recorded, Q policy: value of the recorded "
    "action and of the policy's own. V: value of the state. Return: what was paid after these "
    "steps, discounted, and clipped as the method clips rewards. TD error: mean square, in the "
    "method's scaled rewards. Of a policy of several games all but the accuracy is of all games "
    "together. A score is no evidence of value learning where Q is far from the "
    "return, or where cloning alone scores as much."
)


def section(rows: pd.DataFrame, scores: pd.DataFrame) -> list[str]:
    """(Data set, row) × SHOWN; nothing where no row has a Q."""
    if Q not in scores or scores[Q].isna().all():
        return []
    known = scores.groupby(["dataset", "method", "variant"])[list(SHOWN)].mean()
    shown = [name for name in SHOWN if known[name].notna().any()]
    lines = []
    for _, row in rows[rows["method"] != "random"].iterrows():
        values = known.loc[(row["dataset"], row["method"], row["variant"]), shown]
        cells = ["" if pd.isna(v) else figure(v, _digits(name)) for name, v in values.items()]
        lines.append([row["dataset"], printed(row["method"], row["variant"]), *cells])
    return [EXPLAINED, markdown_grid(["data", "row", *(SHOWN[name] for name in shown)], lines)]


def _digits(column: object) -> int:
    """Errors of cloning are far below 1."""
    return 3 if column in MEASURED else 2
