"""A compact LXMERT before any training: its sizes, its words, its weights (method §1.4)."""

import torch
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from torch import nn
from transformers import LxmertConfig

from pipeline.config.schema import EncoderConfig
from pipeline.features.encoders import _boxes

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
RESIDUAL_SCALE = 0.3
"""Of the initial weights of what attention and feed-forward networks add to a token."""


def settings(config: EncoderConfig, feature_size: int, words: int) -> LxmertConfig:
    """The `transformers` configuration of our section; heads for words, match, region features."""
    return LxmertConfig(
        vocab_size=words,
        hidden_size=config.width,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.width,
        l_layers=config.language_layers,
        r_layers=config.relationship_layers,
        x_layers=config.cross_layers,
        max_position_embeddings=max(config.text_tokens, 32),
        visual_feat_dim=feature_size,
        visual_pos_dim=_boxes.encoded_size(config.box_frequencies),
        task_qa=False,
        visual_obj_loss=False,
        visual_attr_loss=False,
        visual_feat_loss=True,
    )


def initialise(model: nn.Module, seed: int) -> None:
    """Draw all weights at a scale at which LayerNorm keeps what the boxes say.

    Region features and their biases have standard deviation 1; every other matrix 1/√(inputs), and
    RESIDUAL_SCALE of that where its output is added to a token: else the other regions and the
    prompt blur what a region's token says of it. For the boxes see `_boxes.initialise`.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.endswith("visn_fc.box_fc"):
            _boxes.initialise(module, generator)
        elif isinstance(module, nn.Linear):
            features = name.endswith("visn_fc.visn_fc")
            residual = RESIDUAL_SCALE if name.endswith("output.dense") else 1.0
            std = 1.0 if features else residual * module.in_features**-0.5
            nn.init.normal_(module.weight, std=std, generator=generator)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=1.0 if features else 0.0, generator=generator)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5, generator=generator)
            module.weight.data[module.padding_idx or 0].zero_()


def vocabulary(sentences: list[str]) -> list[str]:
    """Special tokens, then the distinct words of the prompts in alphabetical order.

    Words are those that `BertTokenizer` looks up: in lower case, without accents, and each Chinese
    character alone.
    """
    normalise, split = BertNormalizer(lowercase=True).normalize_str, BertPreTokenizer()
    texts = map(normalise, sentences)
    words = {word for text in texts for word, _ in split.pre_tokenize_str(text)}
    return [*SPECIAL_TOKENS, *sorted(words)]
