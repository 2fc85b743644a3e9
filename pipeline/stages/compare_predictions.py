"""Errors of predicted states by steps ahead → one table and one picture."""

from typing import Annotated

from pipeline.io.atomic import replacing
from pipeline.reporting import tables
from pipeline.reporting.figures import horizon_accuracy
from pipeline.stages import Inputs, Output, execute
from pipeline.stages._runs import Runs


def compare_predictions(
    *,
    runs: Runs = (),
    errors: Annotated[Inputs, "one for each of --runs, in the same order"] = (),
    csv: Output,
    picture: Annotated[Output, "PNG"],
) -> None:
    """Read → join → write, draw."""
    rows = horizon_accuracy.joined(runs, [horizon_accuracy.read(path) for path in errors])
    with replacing(csv) as written, replacing(picture) as drawn:
        written.write_text(tables.as_csv(rows), encoding="utf-8")
        horizon_accuracy.plot(rows, drawn)


if __name__ == "__main__":
    execute(compare_predictions)
