"""Published weights at full size: are they read right, how long does it take, how much memory.

The library itself writes random checkpoints in the published layout: LXMERT's pretraining model
(9/5/5 layers, width 768, all heads) as pytorch_model.bin, GPT-2 (12 layers) as safetensors. They
are read by the stages' own code, each in a process of its own, and compared with the library's
hidden states on the same weights: LXMERT's whole output, and GPT-2's after its sixth layer.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import (
    BertTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LxmertConfig,
    LxmertForPreTraining,
    LxmertModel,
)

from benchmarks import _timing
from benchmarks._stages import GAME, ROOT, configuration
from benchmarks.lxmert import random_regions
from pipeline.config.methods import TransformerSettings
from pipeline.features import encoders, prompts
from pipeline.language import gpt2
from pipeline.nn.kv_cache import Positions
from pipeline.nn.transformer import Transformer

BATCH = 32
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BERT_SIZE = 30_522


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, write checkpoints, measure, print."""
    parser = _timing.parser(__doc__, repeats=3)
    parser.add_argument(
        "--vocabulary", type=Path, help="BERT's vocab.txt (default: made of the prompts' words)"
    )
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    _timing.start(chosen.threads)
    if chosen.read:
        print(json.dumps(read(*chosen.read)))
        return
    with tempfile.TemporaryDirectory() as name:
        rows = [lxmert(Path(name), chosen.vocabulary, chosen.repeats), first_layers(Path(name))]
    _timing.report("Published layout at full size, random weights", rows, chosen.threads)


def read(kind: str, folder: str, output: str) -> dict[str, float]:
    """What one stage does with a published folder; seconds, and the largest memory in GB."""
    began = time.perf_counter()
    if kind == "lxmert":
        features = configuration().features["lxmert_full"]
        size = features.detector.feature_size
        encoders.create(features.encoder, size, [], Path(output), Path(folder))
    else:
        model = configuration().language_models["gpt2_6"]
        gpt2.take_layers(model, Path(folder), Path(output))
    seconds = time.perf_counter() - began
    return {"s": seconds, "GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def measured(kind: str, folder: Path, output: Path) -> dict[str, float]:
    """`read` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.published"]
    done = subprocess.run(
        [*command, "--read", kind, str(folder), str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def lxmert(root: Path, vocabulary: Path | None, repeats: int) -> _timing.Row:
    """Write, read, compare, time a batch of pairs."""
    features = configuration().features["lxmert_full"]
    sentences = list(prompts.read(ROOT / "resources", GAME, features.prompt_set).values())
    folder = root / "lxmert"
    folder.mkdir()
    model = LxmertForPreTraining(LxmertConfig())
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    model.config.save_pretrained(folder)
    text = vocabulary.read_text() if vocabulary else made_up_vocabulary(sentences)
    (folder / "vocab.txt").write_text(text)
    del model
    spent = measured("lxmert", folder, root / "encoder")
    encoder: Any = encoders.load(features.encoder, root / "encoder")
    regions = random_regions(features, BATCH)
    prompt = torch.arange(BATCH) % len(sentences)
    states = encoder.encode_prompts(sentences)

    def ours() -> torch.Tensor:
        tokens: torch.Tensor = encoder.encode_pairs(
            states, prompt, encoder.encode_frames(regions), regions.mask
        )
        return tokens

    seconds = _timing.medians({"batch": ours}, repeats)
    reference = LxmertModel.from_pretrained(folder).eval()
    words = BertTokenizer.from_pretrained(folder)(sentences, padding="longest", return_tensors="pt")
    with torch.no_grad():
        output = reference(
            input_ids=words["input_ids"][prompt],
            attention_mask=words["attention_mask"][prompt],
            visual_feats=regions.features.float(),
            visual_pos=regions.boxes,
            visual_attention_mask=regions.mask,
        )
    expected = torch.cat([output.language_output, output.vision_output], dim=1)
    real = torch.cat([words["attention_mask"][prompt].bool(), regions.mask], dim=1)
    return {
        "what": "LXMERT",
        "seconds to read and write": spent["s"],
        "largest memory (GB)": spent["GB"],
        "largest difference": float((ours() - expected)[real].abs().max()),
        "ms per pair": 1000 * seconds["batch"] / BATCH,
        "core ms per pair": 1000 * _timing.core_seconds(ours) / BATCH,
    }


def first_layers(root: Path) -> _timing.Row:
    """Write, read, compare."""
    folder, output = root / "gpt2", root / "layers.safetensors"
    model = GPT2LMHeadModel(GPT2Config()).eval()
    model.save_pretrained(folder)
    spent = measured("gpt2", folder, output)
    preset = configuration().language_models["gpt2_6"]
    shape = TransformerSettings(
        width=preset.width, layers=preset.layers, heads=preset.heads, activation="gelu_tanh"
    )
    transformer = Transformer(shape, attention_span=None).eval()
    weights = load_file(output)
    transformer.load_state_dict({key.removeprefix("transformer."): weights[key] for key in weights})
    transformer.norm = torch.nn.Identity()  # type: ignore[assignment]  # hidden states between layers are not normalised
    tokens = torch.randint(0, 50_257, (2, 64))
    with torch.no_grad():
        x = model.transformer.wte(tokens) + model.transformer.wpe(torch.arange(64))
        hidden, _ = transformer(x, Positions.of_steps(0, 64, 1))
        states = model.transformer(tokens, output_hidden_states=True).hidden_states
    return {
        "what": "GPT-2, six layers",
        "seconds to read and write": spent["s"],
        "largest memory (GB)": spent["GB"],
        "largest difference": float((hidden - states[preset.layers]).abs().max()),
    }


def made_up_vocabulary(sentences: list[str]) -> str:
    """As many word pieces as BERT's, with the words of the prompts among them."""
    words = sorted({word.strip(".,") for text in sentences for word in text.lower().split()})
    pieces = [*SPECIAL, ".", ",", *words]
    return "\n".join([*pieces, *(f"[unused{i}]" for i in range(BERT_SIZE - len(pieces)))]) + "\n"


if __name__ == "__main__":
    main()
