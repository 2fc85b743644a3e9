"""Take the first layers of a published GPT-2, for policies to begin with."""

from argparse import Namespace

from pipeline.config.schema import LanguageModelConfig
from pipeline.language.gpt2 import take_layers
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(language_model=LanguageModelConfig)
parser.inputs("published", help="folder of retrieve")
parser.outputs("output", help="weights")


def main(arguments: Namespace) -> None:
    """Read, rename, write."""
    take_layers(arguments.language_model, arguments.published, arguments.output)


if __name__ == "__main__":
    execute(main, parser)
