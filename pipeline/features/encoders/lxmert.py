"""LXMERT (Tan & Bansal 2019): the published one, or a compact one pretrained here (method §1.4)."""

import shutil
from pathlib import Path

from transformers import LxmertModel

from pipeline.config.schema import EncoderConfig
from pipeline.features.encoders import _published
from pipeline.features.encoders._factorised import load, save
from pipeline.features.encoders._initial import initialise, settings, vocabulary
from pipeline.features.encoders._pretraining import pretrain

__all__ = ["create", "load", "pretrain"]


def create(
    config: EncoderConfig,
    feature_size: int,
    sentences: list[str],
    folder: Path,
    published: Path | None = None,
) -> None:
    """Write an encoder with initial weights into `folder`: the published ones and their
    vocabulary, or drawn ones that know the words of `sentences`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if published is not None:
        save(_published.read(config, feature_size, published), folder)
        shutil.copyfile(published / "vocab.txt", folder / "vocab.txt")
        return
    words = vocabulary(sentences)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    model = LxmertModel(settings(config, feature_size, len(words)))
    initialise(model, config.seed)
    save(model, folder)
