"""A language model of the policies' own transformer: it learns to write before it learns to play
(Figure 3).

A text enters; what leaves is one safetensors file with the layers and what they were trained on, a
tokenizer, and a curve of perplexity. GPT-2's way of learning (Radford et al. 2019): byte-level
byte-pair encoding, next token, tied embeddings. A killed run goes on where it last saved itself and
ends with the same bytes: each step draws from a generator of its own.
"""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from pipeline.config.schema import LanguageModelConfig, TrainingConfig
from pipeline.errors import PipelineError
from pipeline.hardware.devices import mixed_precision
from pipeline.io.atomic import replacing
from pipeline.io.json import parse
from pipeline.io.reading import reading
from pipeline.nn.kv_cache import Positions
from pipeline.nn.transformer import Transformer
from pipeline.training.optimizer import Optimizer
from pipeline.training.resume import Resumption, tensors_of

DESCRIPTION = "language_model"
"""The entry of the file's metadata that says what it is."""
BIAS = "distance_bias"
PREFIX = "transformer."
LAYERS = f"{PREFIX}blocks."
"""The names that a policy takes over begin so; norms inside the blocks are among them."""


@dataclass(frozen=True)
class PerplexityRow:
    """One row of the curve."""

    step: int
    """Updates done."""
    train_perplexity: float
    """exp of the mean loss since the last row."""
    held_out_perplexity: float
    learning_rate: float


class LanguageModel(nn.Module):
    """Token embeddings, the transformer, and the same embeddings as output."""

    def __init__(self, config: LanguageModelConfig, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, config.width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        span = config.context_length - 1
        self.transformer = Transformer(config, attention_span=span, relative=True)

    def loss(self, tokens: Tensor) -> Tensor:
        """Mean cross-entropy of each next token of `tokens` (batch, context + 1) int64."""
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        positions = Positions.of_steps(0, inputs.shape[1], 1)
        hidden, _ = self.transformer(self.embedding(inputs), positions)  # (batch, context, width)
        logits = functional.linear(hidden, self.embedding.weight)  # (batch, context, vocabulary)
        return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


@dataclass(frozen=True)
class Corpus:
    """A tokenized text, its last part held out."""

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]

    @classmethod
    def split(cls, tokens: NDArray[np.int64], config: LanguageModelConfig) -> "Corpus":
        """Split `tokens` (n,); PipelineError where a part is shorter than a training sequence."""
        cut = len(tokens) - round(len(tokens) * config.held_out_fraction)
        parts = tokens[:cut], tokens[cut:]
        if min(map(len, parts)) <= config.context_length:
            raise PipelineError(
                f"language model: the text has {len(tokens)} tokens, too few for sequences of "
                f"{config.context_length} and a held-out part; name a longer text"
            )
        return cls(*parts)

    def batch(self, config: LanguageModelConfig, step: int) -> Tensor:
        """The sequences (batch, context + 1) of update `step`."""
        generator = np.random.default_rng((config.seed, step))
        length = config.context_length
        count = max(1, config.tokens_per_batch // length)
        first = generator.integers(len(self.train) - length, size=count)
        return torch.from_numpy(self.train[first[:, None] + np.arange(length + 1)])

    def held_out_batches(self, config: LanguageModelConfig) -> list[Tensor]:
        """The held-out part as sequences that follow one another."""
        length = config.context_length
        first = np.arange(0, len(self.held_out) - length, length)
        sequences = self.held_out[first[:, None] + np.arange(length + 1)]
        size = max(1, config.tokens_per_batch // length)
        return [
            torch.from_numpy(part) for part in np.split(sequences, range(size, len(first), size))
        ]


def pretrain(
    config: LanguageModelConfig,
    tokens: NDArray[np.int64],
    vocabulary: int,
    text: str,
    output: Path,
    saved: Resumption | None = None,
    device: str = "cpu",
) -> list[PerplexityRow]:
    """Train on `tokens` (n,) of the text described as `text`; writes `output`, returns the curve.

    With `saved` a killed training is gone on with. Raises PipelineError naming the step where the
    loss is not finite.
    """
    corpus = Corpus.split(tokens, config)
    torch.manual_seed(config.seed)
    model = LanguageModel(config, vocabulary).to(device)
    settings = TrainingConfig(
        steps=config.steps,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
    )
    optimizer = Optimizer(model, settings)
    progress = saved.load(model, {"model": optimizer.adamw}) if saved else None
    rows = [PerplexityRow(**row) for row in progress["rows"]] if progress else []
    done: int = progress["step"] if progress else 0
    losses: list[float] = progress["losses"] if progress else []
    bar = tqdm(range(done, config.steps), "pretrain", config.steps, initial=done, unit="step")
    for step in bar:
        torch.manual_seed(config.seed + step)  # dropout
        with mixed_precision(config.precision):
            loss = model.loss(corpus.batch(config, step).to(device))
        value, norm = optimizer.take(loss, step)
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise _diverged(value, step)
        losses.append(value)
        if (step + 1) % config.evaluate_every == 0 or step + 1 == config.steps:
            trained, rate = _exp(float(np.mean(losses)), step), optimizer.rate(step)
            held_out = _exp(_held_out_loss(model, corpus, config), step)
            row = PerplexityRow(step + 1, trained, held_out, rate)
            rows.append(row)
            losses.clear()
            bar.set_postfix(perplexity=f"{row.held_out_perplexity:.1f}")
        if saved and saved.due(step + 1, at_row=not losses):
            curve = [asdict(row) for row in rows]
            state = {"step": step + 1, "losses": losses, "rows": curve}
            saved.save(model, {"model": optimizer.adamw}, state)
    described = json.dumps({"config": config.model_dump(), "text": text}, sort_keys=True)
    with replacing(output) as temporary:  # one entry: the library writes several in any order
        save_file(tensors_of(model), temporary, {DESCRIPTION: described})
    return rows


def write_curve(path: Path, rows: Sequence[PerplexityRow]) -> None:
    """Write the curve as CSV, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(asdict(rows[0]))
        writer.writerows([f"{value:.6g}" for value in asdict(row).values()] for row in rows)


def begin_with(path: Path | None, transformer: Transformer) -> str:
    """Give `transformer` the layers in `path`; returns what they were trained on.

    A policy that attends less far takes the nearer distances' biases. Raises PipelineError naming
    the file and the first weight that does not fit.
    """
    if path is None:
        raise PipelineError(
            "train_policy: policy.initial_weights is language_model; give --language-model"
        )
    tensors, described = _read(path)
    own = transformer.state_dict()
    biased = any(name.endswith(BIAS) for name in tensors)  # GPT-2 knows time by other means
    for name in own:
        theirs = tensors.get(f"{PREFIX}{name}")
        if name.endswith("conditioning") or not f"{PREFIX}{name}".startswith(LAYERS):
            continue  # what a language model does not have, or what its output alone is made for
        if name.endswith(BIAS) and not biased:
            continue
        if theirs is not None and name.endswith(BIAS):
            theirs = theirs[:, : own[name].shape[1]]
        if theirs is None or theirs.shape != own[name].shape:
            found = "missing" if theirs is None else f"{tuple(theirs.shape)}"
            raise PipelineError(
                f"{path}: {name} is {found}, the policy has {tuple(own[name].shape)}; make width, "
                "layers, heads equal, and the language model's context_length long enough"
            )
        own[name] = theirs
    transformer.load_state_dict(own)
    return str(described.get("origin") or f"language model of the {described['text']}")


def _exp(loss: float, step: int) -> float:
    """The perplexity; PipelineError where it is beyond all numbers."""
    try:
        return math.exp(loss)
    except OverflowError:
        raise _diverged(loss, step) from None


def _diverged(loss: float, step: int) -> PipelineError:
    return PipelineError(f"language model: loss {loss} at step {step}; lower its learning_rate")


def _held_out_loss(model: LanguageModel, corpus: Corpus, config: LanguageModelConfig) -> float:
    model.eval()
    total, count = 0.0, 0
    device = model.embedding.weight.device.type
    with torch.no_grad(), mixed_precision(config.precision):
        for batch in corpus.held_out_batches(config):
            total += float(model.loss(batch.to(device))) * len(batch)
            count += len(batch)
    model.train()
    return total / count


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a language model's file."""
    try:
        with reading(path, opened=True), safe_open(path, "pt") as file:
            described = parse((file.metadata() or {})[DESCRIPTION])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file; run pretrain_language_model") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise PipelineError(
            f"{path}: not a language model ({error}); run pretrain_language_model again"
        ) from None
    return tensors, described
