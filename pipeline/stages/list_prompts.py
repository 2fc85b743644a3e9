"""The sentences of all prompt sets of one data set's actions, as a page."""

from argparse import Namespace

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig
from pipeline.reporting.pages import listings, page
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(environment=EnvironmentConfig)
parser.add_argument("--prompt-sets", nargs="+", required=True)
parser.add_argument("--title", required=True)
parser.inputs("prompts", nargs="+", help="as --prompt-sets")
parser.outputs("output", help="HTML")


def main(arguments: Namespace) -> None:
    """Read, write."""
    space = environments.make(arguments.environment).actions
    listed = listings.prompts(space, arguments.prompt_sets, arguments.prompts)
    body = page.heading(arguments.title) + page.table(listed)
    page.write(arguments.output, arguments.title, body)


if __name__ == "__main__":
    execute(main, parser)
