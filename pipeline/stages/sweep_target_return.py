"""Play a trained policy under several target returns: a row per episode."""

from argparse import Namespace

from pipeline.config.schema import SweepConfig
from pipeline.evaluation import target_return_sweep
from pipeline.io.atomic import replacing
from pipeline.stages import _acting, execute

parser = _acting.ActingParser(__doc__, "policy")
parser.sections(sweep=SweepConfig)
parser.outputs("output", help="CSV")


def main(arguments: Namespace) -> None:
    """Load, play, write."""
    course = _acting.course(arguments, arguments.method.evaluation)
    actor = _acting.actor(arguments, arguments.policy)
    played = target_return_sweep.play(course, actor, arguments.sweep)
    with replacing(arguments.output) as temporary:
        played.to_csv(temporary, index=False, encoding="utf-8")


if __name__ == "__main__":
    execute(main, parser)
