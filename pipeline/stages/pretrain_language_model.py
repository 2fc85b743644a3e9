"""Pretrain a language model whose layers policies can begin with: weights, tokenizer, curve."""

from pathlib import Path

import torch

from pipeline import language_model, texts, tokenizer
from pipeline.atomic import replacing
from pipeline.config import LanguageModelConfig
from pipeline.stages import command, execute


def main() -> None:
    """Parse, read, tokenize, train, write."""
    parser = command(__doc__)
    parser.add_argument("--language_model", required=True, help="language model section, JSON")
    for name in ("tokenizer", "output", "curve"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = LanguageModelConfig.from_json(arguments.language_model)
    text = texts.read(config)
    with replacing(arguments.tokenizer) as temporary:
        tokens, vocabulary = tokenizer.tokenize(config, text.content, temporary)
    rows = language_model.pretrain(config, tokens, vocabulary, text.description, arguments.output)
    language_model.write_curve(arguments.curve, rows)


if __name__ == "__main__":
    execute(main)
