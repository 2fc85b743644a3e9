"""The factorised encoder against transformers' LxmertModel, on the same frames and prompts.

The factorised encoder runs the language layers once per prompt, the object-relationship layers once
per frame, and only the cross-modality layers on each pair; LxmertModel runs all of them for every
step. Both see every frame with 36 real regions and one of Breakout's prompts. Weights are random,
which takes the same time as trained ones. The language layers are a row of their own: they run once
for a whole data set.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import _timing
from benchmarks._stages import GAME, ROOT, configuration
from pipeline.config.schema import FeaturesConfig
from pipeline.features import encoders, prompts
from pipeline.features.encoders.lxmert import create
from pipeline.vision.detectors import Regions


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = _timing.parser(__doc__, repeats=3)
    parser.add_argument("--frames", type=int, default=16, help="steps encoded (default: 16)")
    parser.add_argument(
        "--features", nargs="+", default=["lxmert_full", "compact"], help="files of config/features"
    )
    chosen = parser.parse_args(arguments)
    _timing.start(chosen.threads)
    config = configuration()
    for name in chosen.features:
        rows, title = compare(config.features[name], chosen.frames, chosen.repeats)
        _timing.report(f"LXMERT, {name}: {title}", rows, chosen.threads)


def compare(features: FeaturesConfig, frames: int, repeats: int) -> tuple[list[_timing.Row], str]:
    """Time both on `frames` steps, each with a frame of its own."""
    sentences = list(prompts.read(ROOT / "resources", GAME, features.prompt_set).values())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        create(features.encoder, features.detector.feature_size, sentences, folder)
        encoder: Any = encoders.load(features.encoder, folder)  # also has the model and `tokenize`
    regions = random_regions(features, frames)
    prompt = torch.arange(frames) % len(sentences)
    ids, text_mask = encoder.tokenize(sentences)
    states = encoder.encode_prompts(sentences)

    def factorised(rows: slice) -> Tensor:
        part = Regions(regions.features[rows], regions.boxes[rows], regions.mask[rows])
        tokens: Tensor = encoder.encode_pairs(
            states, prompt[rows], encoder.encode_frames(part), part.mask
        )
        return tokens

    @torch.no_grad()
    def whole(rows: slice) -> Tensor:
        output = encoder.model(
            input_ids=ids[prompt[rows]],
            visual_feats=regions.features[rows].float(),
            visual_pos=encoder.encode_boxes(regions.boxes[rows]),
            attention_mask=text_mask[prompt[rows]],
            visual_attention_mask=regions.mask[rows],
        )
        return torch.cat([output.language_output, output.vision_output], dim=1)

    steps = [slice(i, i + 1) for i in range(frames)]
    seconds = _timing.medians(
        {
            "LxmertModel, a step at a time": lambda: [whole(step) for step in steps],
            "LxmertModel, batched": lambda: whole(slice(None)),
            "factorised, a step at a time": lambda: [factorised(step) for step in steps],
            "factorised, batched": lambda: factorised(slice(None)),
            "language layers, once per prompt": lambda: encoder.encode_prompts(sentences),
        },
        repeats,
    )
    base = seconds["LxmertModel, a step at a time"]
    language = "language layers, once per prompt"
    units = dict.fromkeys(seconds, frames) | {language: len(sentences)}
    rows: list[_timing.Row] = []
    for what, time in seconds.items():
        row: _timing.Row = {"what": what, "ms per unit": 1000 * time / units[what]}
        if what != language:
            row["times as fast"] = base / time
        rows.append(row)
    mask = torch.cat([text_mask[prompt], regions.mask], dim=1)
    difference = (factorised(slice(None)) - whole(slice(None)))[mask].abs().max()
    sizes = features.encoder
    layers = (sizes.language_layers, sizes.relationship_layers, sizes.cross_layers)
    title = (
        f"{'/'.join(map(str, layers))} layers, width {sizes.width}, random weights; "
        f"{frames} steps; largest difference {difference:.1e}"
    )
    return rows, title


def random_regions(features: FeaturesConfig, frames: int) -> Regions:
    """Regions that are all real, so that neither side saves on padding."""
    shape = (frames, features.detector.regions)
    corners = torch.rand(*shape, 2, 2).sort(dim=2).values  # (frames, regions, low and high, xy)
    return Regions(
        torch.rand(*shape, features.detector.feature_size).half(),
        corners.flatten(2),
        torch.ones(shape, dtype=torch.bool),
    )


if __name__ == "__main__":
    main()
