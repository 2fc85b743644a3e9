"""LXMERT as it was published → our encoder's model.

`config.json`, `pytorch_model.bin` or `model.safetensors`, and `vocab.txt` enter, of the pretraining
model or of the encoder alone; heads for words, objects and answers are left behind.
"""

from pathlib import Path

import torch
from transformers import LxmertConfig, LxmertModel

from pipeline.config.schema import EncoderConfig
from pipeline.errors import PipelineError
from pipeline.features.encoders import _boxes
from pipeline.io.json import parse
from pipeline.io.reading import reading
from pipeline.pretrained import weights

PREFIX = "lxmert."
"""Of the encoder's weights in a file of the pretraining model."""
HEADS = ("cls.", "obj_predict_head.", "answer_head.")
RETRIEVE = "run retrieve again"
ASKED = {
    "hidden_size": "width",
    "num_attention_heads": "heads",
    "l_layers": "language_layers",
    "r_layers": "relationship_layers",
    "x_layers": "cross_layers",
}
"""What of LXMERT's configuration has to be as ours asks for, by its keys and ours."""
OWN_HEADS = {
    "task_qa": False,
    "visual_obj_loss": False,
    "visual_attr_loss": False,
    "visual_feat_loss": True,
}
"""The heads that pretraining here would use."""


def read(config: EncoderConfig, feature_size: int, folder: Path) -> LxmertModel:
    """The published model in `folder`, for regions of `feature_size`.

    Raises PipelineError naming the file that is missing or damaged, the setting that differs, or
    the first weights that do not fit.
    """
    for name in ("config.json", "vocab.txt"):
        if not (folder / name).is_file():
            raise PipelineError(f"{folder / name}: missing; {RETRIEVE}")
    settings, model = _described(folder / "config.json")
    check(config, settings, folder, "name other weights")
    if settings.visual_feat_dim != feature_size:
        raise PipelineError(
            f"{folder / 'config.json'}: takes region features of {settings.visual_feat_dim} "
            f"numbers, the detector gives {feature_size}; choose a detector that gives as many"
        )
    file = weights.find(folder)
    tensors = {
        name.removeprefix(PREFIX): tensor
        for name, tensor in weights.read(file).items()
        if not name.startswith(HEADS)
    }
    expected = model.state_dict()
    kept = weights.fitting(tensors, expected, file, lambda name: name.endswith("position_ids"))
    model.load_state_dict(kept, assign=True)
    return model


def _described(path: Path) -> tuple[LxmertConfig, LxmertModel]:
    """The configuration in a file, and a model of it without weights; PipelineError for anything
    that the library refuses, in whatever way.
    """
    with reading(path):
        text = path.read_text(encoding="utf-8")
    try:
        settings = LxmertConfig.from_dict({**parse(text), **OWN_HEADS})
        with torch.device("meta"):  # its weights are replaced at once
            return settings, LxmertModel(settings)
    except Exception as error:
        cause = " ".join(str(error).split())
        raise PipelineError(f"{path}: not LXMERT's configuration ({cause}); {RETRIEVE}") from None


def check(config: EncoderConfig, found: LxmertConfig, folder: Path, otherwise: str) -> None:
    """Raise a PipelineError where a folder's configuration is not what `config` asks for."""
    wanted = {theirs: getattr(config, ours) for theirs, ours in ASKED.items()}
    wanted["visual_pos_dim"] = _boxes.encoded_size(config.box_frequencies)
    for key, value in wanted.items():
        if getattr(found, key) != value:
            raise PipelineError(
                f"{folder / 'config.json'}: {key} is {getattr(found, key)}, the configuration asks "
                f"for {value}; change it, or {otherwise}"
            )
