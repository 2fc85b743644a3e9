"""Write the sentences of an environment's actions, in one prompt set, as JSON."""

from argparse import Namespace

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig
from pipeline.data import trajectories
from pipeline.features import prompts
from pipeline.io.atomic import replacing
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(environment=EnvironmentConfig)
parser.add_argument(
    "--prompt-set", required=True, help=", ".join((*prompts.PROMPT_SETS, prompts.NO_PROMPTS))
)
parser.input_below(
    "resources", lambda given: [given.environment.wording], help="folder of the prompts"
)
parser.inputs("trajectories", help="whose actions, if they are continuous")
parser.outputs("output")


def main(arguments: Namespace) -> None:
    """Read, write."""
    game, prompt_set = arguments.environment, arguments.prompt_set
    space = environments.make(game).actions
    actions = trajectories.load(arguments.trajectories).actions
    text = prompts.make(arguments.resources, game, prompt_set, space, actions)
    with replacing(arguments.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"{len(prompts.Prompts.read(arguments.output).sentences)} distinct sentences")


if __name__ == "__main__":
    execute(main, parser)
