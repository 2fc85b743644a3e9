"""Play every checkpoint of a training run before its last, in closed loop: a learning curve."""

from argparse import Namespace

from pipeline.evaluation.episodes import write_episodes
from pipeline.evaluation.run import play_policy
from pipeline.stages import _acting, execute
from pipeline.training import checkpoint

parser = _acting.ActingParser(__doc__, "checkpoints")
parser.outputs("episodes-csv")


def main(arguments: Namespace) -> None:
    """Load, play each, write."""
    course = _acting.course(arguments, arguments.method.evaluation.fewer())
    played = []
    for step, path in checkpoint.steps(arguments.checkpoints).items():
        episodes, _ = play_policy(course, _acting.actor(arguments, path))
        played += [(step, episode) for episode in episodes]
    write_episodes(arguments.episodes_csv, played)


if __name__ == "__main__":
    execute(main, parser)
