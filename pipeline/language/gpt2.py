"""GPT-2 as it was published (Radford et al. 2019) → the first layers of our transformer.

A folder with `config.json` and weights enters; what leaves is a file like that of
`pretrain_language_model`, which policies can begin with. Token and position embeddings stay behind:
a policy's tokens are no words, and its attention knows time by biases of its own.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from pipeline.config.schema import LanguageModelConfig
from pipeline.errors import PipelineError
from pipeline.io.atomic import replacing
from pipeline.io.json import parse
from pipeline.io.reading import reading
from pipeline.language.pretraining import DESCRIPTION, PREFIX
from pipeline.nn.transformer import Transformer
from pipeline.pretrained import weights

PARTS = {
    "ln_1": "attention_norm",
    "attn.c_attn": "attention.input",
    "attn.c_proj": "attention.output",
    "ln_2": "feedforward_norm",
    "mlp.c_fc": "feedforward.0",
    "mlp.c_proj": "feedforward.2",
}
"""GPT-2's names inside a block, and ours."""
BLOCK = re.compile(r"h\.(\d{1,4})\.(.+)\.(\w+)")
"""Its name of a tensor: index, part, kind."""
ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu": "gelu", "relu": "relu"}


def renamed(tensors: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """The first `layers` blocks and the final norm, under the names of our transformer."""
    found = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("transformer.")
        if name.startswith("ln_f."):
            found[name.replace("ln_f", "norm")] = tensor
        elif of_block := BLOCK.fullmatch(name):
            index, part, kind = of_block.groups()
            if int(index) < layers and part in PARTS:  # else a mask, or a layer that is not taken
                # GPT-2 stores its projections as (in, out)
                turned = tensor.T.contiguous() if tensor.dim() == 2 else tensor
                found[f"blocks.{index}.{PARTS[part]}.{kind}"] = turned
    return found


def take_layers(config: LanguageModelConfig, folder: Path, output: Path) -> None:
    """Write the first `config.layers` layers of the GPT-2 in `folder` to `output`.

    Raises PipelineError naming the file and the setting or the first weights that do not fit.
    """
    total = _check(config, folder / "config.json")
    expected = Transformer(config, attention_span=None).state_dict()
    file = weights.find(folder)
    tensors = renamed(weights.read(file), config.layers)
    kept = weights.fitting(tensors, expected, file, lambda name: False)
    origin = f"published ({config.published}), layers 1 to {config.layers} of {total}"
    described = json.dumps({"config": config.model_dump(), "origin": origin}, sort_keys=True)
    named = {f"{PREFIX}{name}": tensor for name, tensor in kept.items()}
    with replacing(output) as temporary:
        save_file(named, temporary, {DESCRIPTION: described})


def _check(config: LanguageModelConfig, path: Path) -> int:
    """How many layers there are; PipelineError where the model is none that is asked for."""
    try:
        with reading(path):
            content: dict[str, Any] = parse(path.read_text(encoding="utf-8"))
        found = {
            "width": content["n_embd"],
            "heads": content["n_head"],
            "activation": ACTIVATIONS.get(content["activation_function"]),
        }
        total = int(content["n_layer"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PipelineError(
            f"{path}: not GPT-2's configuration ({error!r}); run retrieve"
        ) from None
    for key, value in found.items():
        if value != getattr(config, key):
            raise PipelineError(
                f"{path}: {key} is {value}, the language model asks for {getattr(config, key)}; "
                "make them equal"
            )
    if config.layers > total:
        raise PipelineError(f"{path}: {total} layers, {config.layers} are asked for; ask for fewer")
    return total
