"""The sentences of all prompt sets of one data set's actions, as a page."""

from pathlib import Path

from pipeline import environments, listings, pages
from pipeline.config import EnvironmentConfig
from pipeline.stages import command, execute


def main() -> None:
    """Parse, read, write."""
    parser = command(__doc__)
    parser.add_argument("--environment", required=True, help="environment section, JSON")
    parser.add_argument("--prompt-sets", nargs="+", required=True)
    parser.add_argument("--prompts", type=Path, nargs="+", required=True, help="as --prompt-sets")
    parser.add_argument("--title", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    meanings = environments.make(EnvironmentConfig.from_json(arguments.environment)).action_meanings
    listed = listings.prompts(meanings, arguments.prompt_sets, arguments.prompts)
    body = pages.heading(arguments.title) + pages.table(listed)
    pages.write(arguments.output, arguments.title, body)


if __name__ == "__main__":
    execute(main)
