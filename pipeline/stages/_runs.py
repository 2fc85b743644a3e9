"""The option by which a stage that reads the files of many runs gets their names."""

from collections.abc import Sequence
from typing import Annotated

from pipeline.reporting.scores import Run, read_grid
from pipeline.stages import Parsed

Runs = Annotated[Sequence[Run], Parsed(read_grid), "JSON: dataset, method, variant, seed of each"]
