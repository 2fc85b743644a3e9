"""Pretrain a language model whose layers policies can begin with: weights, tokenizer, curve."""

from typing import Annotated

from pipeline.config.schema import LanguageModelConfig
from pipeline.io.atomic import replacing
from pipeline.language import pretraining, texts
from pipeline.language.tokenizer import tokenize
from pipeline.stages import Identity, Lower, Output, execute
from pipeline.stages._device import Device, SaveEvery
from pipeline.training.resume import Resumption


def pretrain_language_model(
    *,
    language_model: Annotated[LanguageModelConfig, Lower("tokens_per_batch")],
    model: Annotated[Output, "weights"],
    tokenizer: Annotated[Output, "JSON"],
    curve: Annotated[Output, "CSV of perplexity"],
    device: Device = "cpu",
    save_every: SaveEvery = None,
    identity: Identity,
) -> None:
    """Read, tokenize, train, write."""
    text = texts.read(language_model)
    with replacing(tokenizer) as temporary:
        tokens, vocabulary = tokenize(language_model, text.content, temporary)
    saved = Resumption(model, identity(), save_every)
    read = tokens, vocabulary, text.description
    rows = pretraining.pretrain(language_model, *read, model, saved, device)
    pretraining.write_curve(curve, rows)
    saved.remove()


if __name__ == "__main__":
    execute(pretrain_language_model)
