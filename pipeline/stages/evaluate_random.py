"""Play uniformly random actions, the reference that learned play has to beat."""

from pathlib import Path

from pipeline import runs, trajectories
from pipeline.config import DatasetConfig, EnvironmentConfig, EvaluationConfig
from pipeline.episodes import write_episodes
from pipeline.stages import command, execute


def main() -> None:
    """Parse, load, play, write."""
    parser = command(__doc__)
    for name in ("environment", "dataset", "evaluation"):
        parser.add_argument(f"--{name}", required=True, help=f"{name} section, JSON")
    parser.add_argument("--seed", type=int, required=True)
    for name in ("trajectories", "episodes-csv", "run-json"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    course = runs.Course(
        EnvironmentConfig.from_json(arguments.environment),
        EvaluationConfig.from_json(arguments.evaluation),
        trajectories.load(arguments.trajectories),
        DatasetConfig.from_json(arguments.dataset).max_episode_steps,
        arguments.seed,
    )
    episodes, run = runs.play_random(course)
    write_episodes(arguments.episodes_csv, [(0, episode) for episode in episodes])
    runs.write_run(arguments.run_json, run)


if __name__ == "__main__":
    execute(main)
