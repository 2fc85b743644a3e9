"""The words of an encoder without published weights: those that its tokenizer looks up."""

from pathlib import Path

import pytest
from encoding import DETECTOR, ENCODER
from tokenizers.pre_tokenizers import BertPreTokenizer

from pipeline.features import encoders
from pipeline.features.encoders import lxmert
from pipeline.features.encoders._initial import SPECIAL_TOKENS, vocabulary
from pipeline.io.yaml import read_yaml

SHIPPED = sorted((Path(__file__).parents[3] / "resources" / "prompts").glob("*.yaml"))


@pytest.mark.parametrize(
    "sentence",
    [
        "Bewege dich rückwärts.",
        "El jugador está quieto.",
        "向左移动",
        "Move\u200b left",
        "İleri git",
        "ΠΊΣΩ",
    ],
)
def test_a_sentence_of_any_language_is_read(tmp_path: Path, sentence: str) -> None:
    lxmert.create(ENCODER, DETECTOR.feature_size, [sentence, "Wait."], tmp_path)
    states = encoders.load(ENCODER, tmp_path).encode_prompts([sentence, "Wait."])
    assert states.mask[0].sum() > 2  # more than where it begins and ends
    assert states.mask[1].sum() == 4


def texts(content: object) -> list[str]:
    """All strings in nested mappings and lists, without the keys."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        return [text for part in content for text in texts(part)]
    return [str(content)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_of_english_sentences_words_are_in_lower_case_and_no_more(path: Path) -> None:
    """So the encoders that were trained on the prompts of `resources/prompts` stay as they are."""
    sentences = texts(read_yaml(path))
    split = BertPreTokenizer().pre_tokenize_str
    words = {word for sentence in sentences for word, _ in split(sentence.lower())}
    assert len(words) > 10
    assert vocabulary(sentences) == [*SPECIAL_TOKENS, *sorted(words)]
