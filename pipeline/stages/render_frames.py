"""Replay every episode in the emulator, check it, and store each distinct frame once."""

from pathlib import Path

from pipeline import frames, trajectories
from pipeline.config import EnvironmentConfig
from pipeline.stages import command, execute


def main() -> None:
    """Parse, load, replay, write."""
    parser = command(__doc__)
    parser.add_argument("--environment", required=True, help="environment section, JSON")
    parser.add_argument("--trajectories", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    environment = EnvironmentConfig.from_json(arguments.environment)
    frames.render(trajectories.load(arguments.trajectories), environment, arguments.output)


if __name__ == "__main__":
    execute(main)
