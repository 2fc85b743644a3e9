"""A language model's curve → one picture."""

from argparse import Namespace

from pipeline.io.atomic import replacing
from pipeline.reporting.figures import perplexity
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.add_argument("--title", required=True)
parser.inputs("curve", help="CSV of pretrain_language_model")
parser.outputs("output", help="PNG")


def main(arguments: Namespace) -> None:
    """Read, draw."""
    with replacing(arguments.output) as temporary:
        perplexity.plot(arguments.curve, arguments.title, temporary)


if __name__ == "__main__":
    execute(main, parser)
