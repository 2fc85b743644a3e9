"""Write the episodes of a data set, with their frames, as a Minari data set."""

from typing import Annotated

from pipeline.config.schema import EnvironmentConfig
from pipeline.data.export_minari import export
from pipeline.data.trajectories import load
from pipeline.io.artefact import Artefact
from pipeline.stages import Input, Output, execute


def export_minari(
    *,
    environment: EnvironmentConfig,
    name: Annotated[str, "Minari's name of the data set, with a version"],
    trajectories: Input,
    frames: Annotated[Input | None, "artefact of render_frames"] = None,
    folder: Annotated[Output, "folder of the data set, named like it"],
) -> None:
    """Load, write."""
    seen = Artefact(frames, "frames", memory_mb=256) if frames else None
    export(load(trajectories), environment, seen, name, folder)


if __name__ == "__main__":
    execute(export_minari)
