"""Pretrain a compact LXMERT on the frames and prompts at hand, with LXMERT's own objectives
(method §1.4).

Masked words, masked region features and prompt–frame match come from `LxmertForPreTraining`; masked
boxes are regressed beside them, since where an object is matters most for acting. No action label
enters: the prompt of a step names the action before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import LxmertForPreTraining

from pipeline.config.schema import EncoderConfig
from pipeline.errors import PipelineError
from pipeline.features.encoders import FramePrompts
from pipeline.features.encoders._factorised import Lxmert, load, save
from pipeline.features.encoders._initial import initialise
from pipeline.io.artefact import Artefact
from pipeline.vision.detectors import Regions

MASKED_SHARE = 0.15
MISMATCHED_SHARE = 0.5
CURVE_EVERY = 20
OBJECTIVES = ("words", "match", "features", "boxes")
"""Columns of the curve, beside `step`."""


@dataclass(frozen=True)
class PretrainingBatch:
    """B (frame, prompt) pairs before masking."""

    features: Tensor  # (B, N, F) float32
    boxes: Tensor  # (B, N, 4)
    regions_mask: Tensor  # (B, N) bool
    ids: Tensor  # (B, L) int64
    text_mask: Tensor  # (B, L) bool
    matched: Tensor  # (B,) int64: 1 where the prompt is the frame's own


def pretrain(
    config: EncoderConfig,
    folder: Path,
    regions: Artefact,
    sentences: list[str],
    pairs: FramePrompts,
    device: torch.device,
) -> pd.DataFrame:
    """Train the encoder in `folder` (see `lxmert.create`) in place; returns the losses.

    With `pretraining_steps: 0` the initial weights stay and the curve is empty.

    Args:
        regions: the `regions` artefact.
        pairs: the distinct (frame, prompt) pairs of the data set, two arrays (P,).

    Raises:
        PipelineError: the loss is not finite.
    """
    columns = ["step", *OBJECTIVES]
    if not config.pretraining_steps:
        return pd.DataFrame(columns=columns)
    torch.manual_seed(config.seed)
    encoder = load(config, folder, device)
    model = LxmertForPreTraining(encoder.model.config)
    initialise(model, config.seed + 1)
    model.lxmert.load_state_dict(encoder.model.state_dict())
    box_head = nn.Linear(config.width, 4).to(device)
    model.to(device)
    parameters = [*model.parameters(), *box_head.parameters()]
    rate = config.pretraining_learning_rate
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    # A cycle of ten steps would have a warm-up of none, by whose length torch divides.
    cycle = max(config.pretraining_steps + 1, 11)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=cycle, pct_start=0.1
    )
    model.train()
    curve: list[dict[str, float]] = []
    batches = _batches(config, encoder, regions, sentences, pairs)
    for step in tqdm(range(1, config.pretraining_steps + 1), desc="pretrain LXMERT", unit="step"):
        parts = _losses(model, box_head, encoder, next(batches))
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise PipelineError(
                f"{regions.path}: LXMERT pretraining: the loss is not finite at step {step}; "
                "lower encoder.pretraining_learning_rate"
            )
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if step % CURVE_EVERY == 0 or step == config.pretraining_steps:
            losses = {name: float(part.detach()) for name, part in parts.items()}
            curve.append({"step": step, **losses})
    save(model.lxmert.eval(), folder)
    return pd.DataFrame(curve, columns=columns)


def _losses(
    model: LxmertForPreTraining,
    box_head: nn.Linear,
    encoder: Lxmert,
    batch: PretrainingBatch,
) -> dict[str, Tensor]:
    """The four objectives on one batch, freshly masked."""
    hide_feature, hide_box = (
        _share(batch.regions_mask.shape).to(batch.ids.device) & batch.regions_mask for _ in range(2)
    )
    tokenizer = encoder.tokenizer
    special = (batch.ids == tokenizer.cls_token_id) | (batch.ids == tokenizer.sep_token_id)
    hide_word = _share(batch.ids.shape).to(batch.ids.device) & batch.text_mask & ~special
    # Words of a foreign prompt cannot be told from the frame.
    hide_word &= batch.matched[:, None].bool()
    output = model(
        input_ids=batch.ids.masked_fill(hide_word, tokenizer.mask_token_id),
        visual_feats=batch.features.masked_fill(hide_feature[..., None], 0.0),
        visual_pos=encoder.encode_boxes(batch.boxes).masked_fill(hide_box[..., None], 0.0),
        attention_mask=batch.text_mask,
        visual_attention_mask=batch.regions_mask,
        output_hidden_states=True,
    )
    seen = output.vision_hidden_states[-1]
    features = model.obj_predict_head(seen)["feat"]
    words = output.prediction_logits[hide_word]
    cross_entropy, distance = nn.functional.cross_entropy, nn.functional.smooth_l1_loss
    boxes = box_head(seen)[hide_box]
    parts = {
        "words": cross_entropy(words, batch.ids[hide_word]),
        "match": cross_entropy(output.cross_relationship_score, batch.matched),
        "features": distance(features[hide_feature], batch.features[hide_feature]),
        # Boxes live in [0, 1]: an error of a tenth of the screen weighs about as much as a word.
        "boxes": 10 * distance(boxes, batch.boxes[hide_box], beta=0.1),
    }
    hidden = {"words": hide_word, "features": hide_feature, "boxes": hide_box}
    zero = seen.sum() * 0  # of an objective that nothing was masked for, whose mean is NaN
    return {
        name: part if name not in hidden or hidden[name].any() else zero
        for name, part in parts.items()
    }


def _share(shape: torch.Size) -> Tensor:
    """MASKED_SHARE of the entries of `shape`, drawn on the processor."""
    return torch.rand(shape) < MASKED_SHARE


def _batches(
    config: EncoderConfig,
    encoder: Lxmert,
    regions: Artefact,
    sentences: list[str],
    pairs: FramePrompts,
) -> Iterator[PretrainingBatch]:
    """Endless seeded batches; half of the prompts are exchanged for another, if there is one."""
    generator = np.random.default_rng(config.seed)
    ids, text_mask = encoder.tokenize(sentences)
    frames, prompts = pairs
    while True:
        drawn = generator.integers(len(frames), size=config.pretraining_batch)
        prompt = prompts[drawn]
        swap = (generator.random(len(drawn)) < MISMATCHED_SHARE) & (len(sentences) > 1)
        shift = generator.integers(1, max(2, len(sentences)), size=len(drawn))
        prompt = np.where(swap, (prompt + shift) % len(sentences), prompt)
        found = Regions.gather(regions, frames[drawn])
        found = found.first(max(1, int(found.mask.sum(1).max())))
        yield PretrainingBatch(
            features=found.features.float().to(ids.device),
            boxes=found.boxes.to(ids.device),
            regions_mask=found.mask.to(ids.device),
            ids=ids[prompt],
            text_mask=text_mask[prompt],
            matched=torch.from_numpy((~swap).astype(np.int64)).to(ids.device),
        )
