"""O_t of pairs: shapes, masks, pooling against NumPy, and independence of what else is encoded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from encoding import ENCODER, PROMPTS, encoder, frames, live, some_regions

from pipeline.errors import PipelineError
from pipeline.features.step_encoder import Embeddings, StepEncoder, pool
from pipeline.vision.detectors import Regions

FRAME, PROMPT = torch.cartesian_prod(torch.arange(4), torch.arange(3)).T


@pytest.fixture
def embeddings(tmp_path: Path) -> Embeddings:
    step_encoder = StepEncoder(None, encoder(tmp_path), PROMPTS.sentences)
    return step_encoder.encode_regions(some_regions(), FRAME, PROMPT)


def test_shapes_types_and_masks(embeddings: Embeddings) -> None:
    regions = some_regions()
    words = [len(sentence.split()) + 2 for sentence in PROMPTS.sentences]  # [CLS] … [SEP]
    assert embeddings.tokens.shape == (12, max(words) + 6, ENCODER.width)
    assert embeddings.tokens.dtype == embeddings.pooled.dtype == torch.float16
    for row, (frame, prompt) in enumerate(zip(FRAME, PROMPT, strict=True)):
        text = [index < words[prompt] for index in range(max(words))]
        assert embeddings.mask[row].tolist() == text + regions.mask[frame].tolist()
    assert not embeddings.tokens[~embeddings.mask].any()
    assert embeddings.tokens[embeddings.mask].any(dim=1).all()


def test_pooled_is_the_mean_of_the_real_tokens(embeddings: Embeddings) -> None:
    length = embeddings.tokens.shape[1] - 6
    for row in range(12):
        for part, tokens in enumerate((slice(0, length), slice(length, None))):
            real = embeddings.tokens[row, tokens][embeddings.mask[row, tokens]].numpy()
            mean = real.astype(np.float64).mean(0) if len(real) else np.zeros(ENCODER.width)
            np.testing.assert_allclose(embeddings.pooled[row, part], mean, atol=2e-3)


def test_pool_ignores_what_is_masked() -> None:
    tokens = torch.randn(2, 5, 3)
    mask = torch.tensor([[True, False, True, True, False], [True, True, False, False, False]])
    changed = torch.where(mask[..., None], tokens, 9.0)
    assert torch.equal(pool(tokens, mask, 2), pool(changed, mask, 2))
    assert not pool(tokens, mask, 2)[1, 1].any()


def test_a_pair_alone_gives_what_it_gives_in_a_batch(
    tmp_path: Path, embeddings: Embeddings
) -> None:
    step_encoder = StepEncoder(None, encoder(tmp_path), PROMPTS.sentences)
    regions = some_regions()
    for row in range(12):
        frame = FRAME[row : row + 1]
        own = Regions(regions.features[frame], regions.boxes[frame], regions.mask[frame])
        alone = step_encoder.encode_regions(own, torch.tensor([0]), PROMPT[row : row + 1])
        assert torch.equal(alone.mask[0], embeddings.mask[row])
        torch.testing.assert_close(alone.tokens[0], embeddings.tokens[row], atol=2e-3, rtol=2e-3)


def test_frames_go_through_detector_and_encoder(tmp_path: Path) -> None:
    step_encoder = live(tmp_path)
    screens, prompt = frames(3), torch.tensor([2, 0, 1])
    whole = step_encoder(screens, prompt)
    parts = step_encoder.encode_regions(step_encoder.detect(screens), torch.arange(3), prompt)
    assert torch.equal(whole.tokens, parts.tokens)


def test_without_a_detector_frames_are_refused(tmp_path: Path) -> None:
    step_encoder = StepEncoder(None, encoder(tmp_path), PROMPTS.sentences)
    with pytest.raises(ValueError, match="without a detector"):
        step_encoder.detect(frames(1))


def test_features_of_another_size_are_refused(tmp_path: Path) -> None:
    step_encoder = StepEncoder(None, encoder(tmp_path), PROMPTS.sentences)
    regions = some_regions()
    wide = Regions(regions.features.repeat(1, 1, 2), regions.boxes, regions.mask)
    with pytest.raises(PipelineError, match="16 features each, the encoder takes 8"):
        step_encoder.encode_regions(wide, FRAME, PROMPT)
