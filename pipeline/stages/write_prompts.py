"""Write the sentence of every action of an environment, in one prompt set, as JSON."""

from pathlib import Path

from pipeline import environments, prompts
from pipeline.atomic import replacing
from pipeline.config import EnvironmentConfig
from pipeline.stages import command, execute


def main() -> None:
    """Parse, read, write."""
    parser = command(__doc__)
    parser.add_argument("--environment", required=True, help="environment section, JSON")
    parser.add_argument(
        "--prompt-set", required=True, help=", ".join((*prompts.PROMPT_SETS, prompts.NO_PROMPTS))
    )
    parser.add_argument("--resources", type=Path, required=True, help="folder of the prompts")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    environment = EnvironmentConfig.from_json(arguments.environment)
    meanings = environments.make(environment).action_meanings
    text = prompts.as_json(arguments.resources, environment.game, arguments.prompt_set, meanings)
    with replacing(arguments.output) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    execute(main)
