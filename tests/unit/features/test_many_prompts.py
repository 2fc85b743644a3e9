"""Many prompts take no more memory at a time than a few do."""

from pathlib import Path
from typing import Any

import pytest
import torch
from encoding import PROMPTS, encoder
from torch import nn

from pipeline.features.encoders import _factorised
from pipeline.features.encoders._factorised import Lxmert


def test_language_layers_read_a_few_hundred_sentences_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And say of each, at the length of the longest of all, what they say in one call."""
    found = encoder(tmp_path)
    assert isinstance(found, Lxmert)
    rows: list[int] = []

    def note(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        rows.append(len(inputs[0]))

    found.model.encoder.layer[0].register_forward_pre_hook(note)
    short = PROMPTS.sentences[2]
    sentences = [*PROMPTS.sentences, *[short] * 597]  # only the first part has a long one
    sentences[400], sentences[599] = PROMPTS.sentences[0], PROMPTS.sentences[1]
    parts = found.encode_prompts(sentences)
    assert max(rows) <= 256
    assert sum(rows) == 600
    monkeypatch.setattr(_factorised, "SENTENCES", 600, raising=False)
    whole = found.encode_prompts(sentences)
    assert rows[-1] == 600
    assert torch.equal(parts.mask, whole.mask)
    torch.testing.assert_close(parts.hidden, whole.hidden, atol=1e-6, rtol=1e-6)
    assert not torch.allclose(parts.hidden[399], parts.hidden[400], atol=0.01)
