"""Play a trained policy in closed loop: scores, and the run's description."""

from argparse import Namespace

from pipeline.evaluation.episodes import write_episodes
from pipeline.evaluation.run import play_policy, write_run
from pipeline.stages import _acting, execute

parser = _acting.ActingParser(__doc__, "policy")
parser.outputs("episodes-csv", "run-json")


def main(arguments: Namespace) -> None:
    """Load, play, write."""
    course = _acting.course(arguments, arguments.method.evaluation)
    episodes, run = play_policy(course, _acting.actor(arguments, arguments.policy))
    steps = arguments.method.training.steps
    write_episodes(arguments.episodes_csv, [(steps, episode) for episode in episodes])
    write_run(arguments.run_json, run)


if __name__ == "__main__":
    execute(main, parser)
