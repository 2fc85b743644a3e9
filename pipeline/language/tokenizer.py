"""Byte-pair encoding as in GPT-2: read from a folder with published vocabulary, or trained here."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import ByteLevelBPETokenizer

from pipeline.config.schema import LanguageModelConfig
from pipeline.errors import PipelineError

PIECE = 10_000
"""Characters that are encoded at a time; a word across two pieces is split there."""
FILES = ("vocab.json", "merges.txt")


def tokenize(config: LanguageModelConfig, text: str, output: Path) -> tuple[NDArray[np.int64], int]:
    """The tokens (n,) of `text` and the size of the vocabulary; writes the tokenizer to `output`.

    Raises PipelineError where the folder `config.vocabulary` lacks a file.
    """
    pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    if config.vocabulary is None:
        tokenizer = ByteLevelBPETokenizer()
        tokenizer.train_from_iterator(
            pieces, vocab_size=config.vocabulary_size, show_progress=False
        )
    else:
        paths = [Path(config.vocabulary) / name for name in FILES]
        for path in paths:
            if not path.is_file():
                raise PipelineError(f"{path}: missing; language_model.vocabulary needs it")
        tokenizer = ByteLevelBPETokenizer(*map(str, paths))
    tokenizer.save(str(output), pretty=False)
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(pieces)]
    return np.concatenate([np.array(ids, np.int64) for ids in tokens]), tokenizer.get_vocab_size()
