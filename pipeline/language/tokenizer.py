"""Byte-pair encoding as in GPT-2: read from a folder with published vocabulary, or trained here."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import ByteLevelBPETokenizer

from pipeline.config.schema import LanguageModelConfig
from pipeline.errors import PipelineError

PIECE = 10_000
"""Characters that are encoded at a time; a word across two pieces is split there."""
BATCH = 64
"""Pieces per call of the tokenizer, which remembers much more of a token than its number."""
FILES = ("vocab.json", "merges.txt")


def tokenize(config: LanguageModelConfig, text: str, output: Path) -> tuple[NDArray[np.int64], int]:
    """The tokens (n,) of `text` and the size of the vocabulary; writes the tokenizer to `output`.

    Raises PipelineError where the folder `config.vocabulary` lacks a file.
    """
    if config.vocabulary is None:
        tokenizer = ByteLevelBPETokenizer()
        tokenizer.train_from_iterator(
            _batches(text), vocab_size=config.vocabulary_size, show_progress=False
        )
    else:
        paths = [Path(config.vocabulary) / name for name in FILES]
        for path in paths:
            if not path.is_file():
                raise PipelineError(f"{path}: missing; language_model.vocabulary needs it")
        tokenizer = ByteLevelBPETokenizer(*map(str, paths))
    tokenizer.save(str(output), pretty=False)
    tokens = [
        np.array(encoding.ids, np.int32)
        for pieces in _batches(text)
        for encoding in tokenizer.encode_batch(pieces)
    ]
    return np.concatenate(tokens, dtype=np.int64), tokenizer.get_vocab_size()


def _batches(text: str) -> Iterator[list[str]]:
    """The pieces of `text`, at most BATCH at a time."""
    for first in range(0, len(text), BATCH * PIECE):
        batch = text[first : first + BATCH * PIECE]
        yield [batch[start : start + PIECE] for start in range(0, len(batch), PIECE)]
