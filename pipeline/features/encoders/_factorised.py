"""LXMERT from `transformers`, factorised and frozen, and the folder it is kept in (method §1.4).

The language layers depend on the prompt alone, the object-relationship layers on the frame alone,
and only the cross-modality layers on the pair, so each is called on what it depends on; composed,
they equal `LxmertModel.forward`. The folder has the published layout (`config.json`,
`model.safetensors`, `vocab.txt`).
"""

from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor
from transformers import BertTokenizer, LxmertModel
from transformers.utils import logging

from pipeline.config.schema import EncoderConfig
from pipeline.errors import PipelineError
from pipeline.features.encoders import PromptStates, _boxes, _published
from pipeline.features.encoders._initial import SPECIAL_TOKENS
from pipeline.io.reading import reading
from pipeline.vision.detectors import Regions

SENTENCES = 256
"""Per call of the language layers, so that memory does not grow with a data set's prompts."""
REBUILD = "run pretrain_encoder again"


class Lxmert:
    """The factorised encoder around a frozen `LxmertModel`."""

    def __init__(self, model: LxmertModel, tokenizer: BertTokenizer, text_tokens: int) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.text_tokens = text_tokens
        self.width: int = model.config.hidden_size
        self.feature_size: int = model.config.visual_feat_dim

    def tokenize(self, sentences: list[str]) -> tuple[Tensor, Tensor]:
        """Word pieces (P, L) int64 and mask (P, L) bool, L that of the longest sentence.

        Raises PipelineError where a sentence is too long or has an unknown word.
        """
        encoded = self.tokenizer(sentences, padding="longest")
        for sentence, ids in zip(sentences, encoded["input_ids"], strict=True):
            if len(ids) > self.text_tokens:
                raise PipelineError(
                    f"prompt of {len(ids)} word pieces, the encoder takes {self.text_tokens}: "
                    f"{sentence!r}; shorten it or raise encoder.text_tokens"
                )
            if self.tokenizer.unk_token_id in ids:
                raise PipelineError(
                    f"prompt has a word that the encoder's vocabulary lacks: {sentence!r}; "
                    "reword it or run pretrain_encoder again"
                )
        ids = torch.tensor(encoded["input_ids"], device=self.model.device)
        return ids, ids != self.tokenizer.pad_token_id

    def encode_boxes(self, boxes: Tensor) -> Tensor:
        """Boxes (…, 4) as LXMERT's `visual_pos` (…, visual_pos_dim)."""
        return _boxes.encode(boxes, self.model.config.visual_pos_dim)

    @torch.no_grad()
    def encode_prompts(self, sentences: list[str]) -> PromptStates:
        """Embeddings and language layers: P sentences → (P, L, d)."""
        ids, mask = self.tokenize(sentences)
        states, parts = [], -(-len(ids) // SENTENCES)
        # of about equal size: a matrix product of very few rows differs in the last bit
        for some, real in zip(ids.tensor_split(parts), mask.tensor_split(parts), strict=True):
            hidden = self.model.embeddings(some, torch.zeros_like(some))
            for layer in self.model.encoder.layer:
                hidden = layer(hidden, additive(real))[0]
            states.append(hidden)
        return PromptStates(torch.cat(states), mask)

    @torch.no_grad()
    def encode_frames(self, regions: Regions) -> Tensor:
        """Region projection and object-relationship layers: B frames → (B, N, d)."""
        places = self.encode_boxes(regions.boxes)
        hidden: Tensor = self.model.encoder.visn_fc(regions.features.float(), places)
        for layer in self.model.encoder.r_layers:
            hidden = layer(hidden, additive(regions.mask))[0]
        return hidden

    @torch.no_grad()
    def encode_pairs(
        self, prompts: PromptStates, prompt: Tensor, frames: Tensor, regions_mask: Tensor
    ) -> Tensor:
        """Cross-modality layers: B pairs → O = [E(A), E(S)] (B, L + N, d)."""
        text, text_mask = prompts.hidden[prompt], additive(prompts.mask[prompt])
        for layer in self.model.encoder.x_layers:
            text, frames = layer(text, text_mask, frames, additive(regions_mask))
        return torch.cat([text, frames], dim=1)  # (B, L + N, d)


def additive(mask: Tensor) -> Tensor:
    """What LXMERT adds to attention scores for a bool mask (B, T): (B, 1, 1, T), 0 or lowest."""
    return (~mask)[:, None, None, :].float() * torch.finfo(torch.float32).min


def load(config: EncoderConfig, folder: Path, device: torch.device) -> Lxmert:
    """Load from a folder in the published layout.

    Raises PipelineError naming the file that is missing or damaged, or the setting that differs.
    """
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        if not (folder / name).is_file():
            raise PipelineError(f"{folder / name}: missing; {REBUILD}")
    model, tokenizer = _from_pretrained(folder)
    _published.check(config, model.config, folder, REBUILD)
    if config.text_tokens > model.config.max_position_embeddings:
        raise PipelineError(
            f"{folder / 'config.json'}: prompts of {config.text_tokens} word pieces are asked for, "
            f"{model.config.max_position_embeddings} fit; lower encoder.text_tokens"
        )
    if len(tokenizer) > model.config.vocab_size:
        raise PipelineError(
            f"{folder / 'vocab.txt'}: {len(tokenizer)} word pieces, but model.safetensors has "
            f"{model.config.vocab_size}; {REBUILD}"
        )
    return Lxmert(model.to(device), tokenizer, config.text_tokens)


def _from_pretrained(folder: Path) -> tuple[LxmertModel, BertTokenizer]:
    """Read model and tokenizer; PipelineError where a file is damaged or a weight missing."""
    _quiet()
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        with suppress(FileNotFoundError), reading(folder / name, opened=True):
            pass  # the library calls one that may not be read missing
    try:
        model, report = LxmertModel.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
        words = set((folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    except Exception as error:  # the libraries raise that very type
        cause = str(error).strip().splitlines()[0]
        raise PipelineError(f"{folder}: damaged encoder ({cause}); {REBUILD}") from None
    if lacking := set(SPECIAL_TOKENS) - words:
        raise PipelineError(f"{folder / 'vocab.txt'}: no {min(lacking)}; {REBUILD}")
    if report["missing_keys"]:  # the library would draw these at random
        name = min(report["missing_keys"])
        raise PipelineError(f"{folder / 'model.safetensors'}: no weight {name}; {REBUILD}")
    return model, tokenizer


def save(model: LxmertModel, folder: Path) -> None:
    """Write `config.json` and `model.safetensors` into `folder`."""
    _quiet()
    model.save_pretrained(folder)


def _quiet() -> None:
    """No progress bars for files of a few megabytes, no report on heads that are not used."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
