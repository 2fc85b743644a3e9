"""Pretrain a language model whose layers policies can begin with: weights, tokenizer, curve."""

from argparse import Namespace

from pipeline.config.schema import LanguageModelConfig
from pipeline.hardware import devices
from pipeline.io.atomic import replacing
from pipeline.language import pretraining, texts, tokenizer
from pipeline.stages import StageParser, execute
from pipeline.training import resume

parser = StageParser(__doc__)
parser.sections(language_model=LanguageModelConfig)
parser.add_argument("--device", type=devices.claim, default="cpu", help=devices.HELP)
parser.add_argument("--save-every", type=int, metavar="STEPS", help=resume.HELP)
parser.outputs("output", help="weights")
parser.outputs("tokenizer", help="JSON")
parser.outputs("curve", help="CSV of perplexity")


def main(arguments: Namespace) -> None:
    """Read, tokenize, train, write."""
    config = arguments.language_model
    text = texts.read(config)
    with replacing(arguments.tokenizer) as temporary:
        tokens, vocabulary = tokenizer.tokenize(config, text.content, temporary)
    identity = parser.identity(arguments, main)
    saved = resume.Resumption(arguments.output, identity, arguments.save_every)
    read = tokens, vocabulary, text.description
    rows = pretraining.pretrain(config, *read, arguments.output, saved, arguments.device)
    pretraining.write_curve(arguments.curve, rows)
    saved.remove()


if __name__ == "__main__":
    execute(main, parser)
