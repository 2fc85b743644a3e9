"""Write the sentence of every action of an environment, in one prompt set, as JSON."""

from argparse import Namespace

from pipeline import environments, prompts
from pipeline.atomic import replacing
from pipeline.config import EnvironmentConfig
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(environment=EnvironmentConfig)
parser.add_argument(
    "--prompt-set", required=True, help=", ".join((*prompts.PROMPT_SETS, prompts.NO_PROMPTS))
)
parser.input_below(
    "resources", lambda given: prompts.wording(given.environment.game), help="folder of the prompts"
)
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Read, write."""
    game = arguments.environment
    meanings = environments.make(game).actions.names
    text = prompts.as_json(arguments.resources, game.game, arguments.prompt_set, meanings)
    with replacing(arguments.output) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    execute(main, parser)
