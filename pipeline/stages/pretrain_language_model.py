"""Pretrain a language model whose layers policies can begin with: weights, tokenizer, curve."""

from argparse import Namespace

from pipeline import language_model, texts, tokenizer
from pipeline.atomic import replacing
from pipeline.config import LanguageModelConfig
from pipeline.resumption import Resumption
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(language_model=LanguageModelConfig)
parser.outputs("output", help="weights")
parser.outputs("tokenizer", help="JSON")
parser.outputs("curve", help="CSV of perplexity")


def main(arguments: Namespace) -> None:
    """Read, tokenize, train, write."""
    config = arguments.language_model
    text = texts.read(config)
    with replacing(arguments.tokenizer) as temporary:
        tokens, vocabulary = tokenizer.tokenize(config, text.content, temporary)
    saved = Resumption(arguments.output, parser.identity(arguments, main))
    rows = language_model.pretrain(
        config, tokens, vocabulary, text.description, arguments.output, saved
    )
    language_model.write_curve(arguments.curve, rows)
    saved.remove()


if __name__ == "__main__":
    execute(main, parser)
