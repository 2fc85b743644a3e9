"""Texts of every source, and byte-pair encoding."""

import json
import shutil
import sys
import sysconfig
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tokenizers import ByteLevelBPETokenizer, Encoding, Tokenizer

from pipeline.config.schema import LanguageModelConfig
from pipeline.errors import PipelineError
from pipeline.language import texts
from pipeline.language.tokenizer import PIECE, tokenize


def test_the_documentation_of_python_is_a_long_english_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its topics are the real ones; of the library, one module and what is not to be read."""
    library = {"textwrap.py": Path(textwrap.__file__).read_text(), "broken.py": "def ("}
    library |= {"a/first.py": 'class A:\n    def f(self):\n        """Of f."""\n', "a/data.txt": ""}
    library["test/test_a.py"] = '"""A docstring of a test."""'
    library["site-packages/b.py"] = '"""Not of Python."""'
    for name, content in library.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    (tmp_path / "latin.py").write_bytes(b'"""\xfc"""')
    assert Path(sysconfig.get_paths()["stdlib"]) == Path(textwrap.__file__).parent
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    text = texts.read(LanguageModelConfig())
    assert text.content.count(" the ") > 3_000
    topics, of_library = text.content.split("\n\nOf f.\n\n")  # by path
    assert of_library.startswith(str(textwrap.__doc__).strip())
    assert str(textwrap.dedent.__doc__).splitlines()[0] in of_library
    assert "A docstring of a test" not in text.content
    assert "Not of Python." not in text.content
    assert len(topics) > 400_000
    assert text.description.startswith("documentation of Python 3.")
    assert "PSF licence" in text.description
    assert text == texts.read(LanguageModelConfig())


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tale.txt"
    path.write_text("Once upon a time.\n")
    config = LanguageModelConfig(source="file", name=str(path))
    assert texts.read(config) == texts.Text("Once upon a time.\n", "file tale.txt")
    path.write_text(" \n")
    with pytest.raises(PipelineError, match=r"file tale\.txt: the text is empty"):
        texts.read(config)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PipelineError, match=r"tale\.txt: not UTF-8"):
        texts.read(config)
    path.unlink()
    with pytest.raises(PipelineError, match=r"tale\.txt: cannot be read"):
        texts.read(config)
    with pytest.raises(PipelineError, match="source file needs `name`"):
        texts.read(LanguageModelConfig(source="file"))


def test_a_data_set_of_the_hub(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the package datasets is not installed")
    (tmp_path / "train.txt").write_text("One line.\nAnother line.\n")
    config = LanguageModelConfig(source="hugging_face", name=str(tmp_path))
    assert "Another line." in texts.read(config).content
    with pytest.raises(PipelineError, match="check its name and the network"):
        texts.read(config.model_copy(update={"name": str(tmp_path / "none")}))


class Column:
    """What `datasets.load_dataset` gives, as far as it is read."""

    column_names = ("text",)

    def __init__(self, rows: list[object]) -> None:
        self.rows = rows

    def __getitem__(self, name: str) -> list[object]:
        return self.rows


def test_rows_of_the_hub_do_not_run_into_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    config = LanguageModelConfig(source="hugging_face", name="some")
    rows: list[object] = ["doc one.", "", "A line.\n", "doc two."]
    fake = SimpleNamespace(load_dataset=lambda *_, **__: Column(rows))
    monkeypatch.setitem(sys.modules, "datasets", fake)
    assert texts.read(config).content == "doc one.\nA line.\ndoc two.\n"
    for wrong in (None, 1):
        rows[1] = wrong
        with pytest.raises(PipelineError, match=rf"data set some: row 1 of 'text' is {wrong}, no"):
            texts.read(config)


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    config = LanguageModelConfig(source="hugging_face", name="wikitext")
    with pytest.raises(PipelineError, match=r"pip install 'more3s\[text\]'"):
        texts.read(config)


def test_tokens_are_the_text(tmp_path: Path) -> None:
    text = "The ball is above the paddle. Ünï\n" * 1000
    assert len(text) > PIECE
    config = LanguageModelConfig(vocabulary_size=300)
    tokens, size = tokenize(config, text, tmp_path / "tokenizer.json")
    assert 257 <= size <= 300
    assert tokens.max() < size
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).decode(tokens.tolist()) == text
    again, _ = tokenize(config, text, tmp_path / "again.json")
    assert np.array_equal(tokens, again)


def test_a_long_text_is_encoded_a_few_pieces_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it has the tokens, and the tokenizer, that it has as a whole."""
    text = "The ball is above the paddle. Ünï, 球\n" * 1000
    monkeypatch.setattr("pipeline.language.tokenizer.PIECE", 200)
    config = LanguageModelConfig(vocabulary_size=300)
    encode, calls = ByteLevelBPETokenizer.encode_batch, list[int]()

    def counted(tokenizer: ByteLevelBPETokenizer, pieces: list[str]) -> list[Encoding]:
        calls.append(len(pieces))
        return encode(tokenizer, pieces)

    monkeypatch.setattr(ByteLevelBPETokenizer, "encode_batch", counted)
    tokens, _ = tokenize(config, text, tmp_path / "tokenizer.json")
    pieces = [text[start : start + 200] for start in range(0, len(text), 200)]
    assert max(calls) <= 64
    assert sum(calls) == len(pieces) > 128
    whole = ByteLevelBPETokenizer()
    whole.train_from_iterator(pieces, vocab_size=300, show_progress=False)
    whole.save(str(tmp_path / "whole.json"), pretty=False)
    assert (tmp_path / "tokenizer.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert tokens.dtype == np.int64
    assert tokens.tolist() == [token for each in encode(whole, pieces) for token in each.ids]


def test_a_published_vocabulary(tmp_path: Path) -> None:
    trained, _ = tokenize(
        LanguageModelConfig(vocabulary_size=300), "the ball the ball " * 50, tmp_path / "trained"
    )
    content = json.loads((tmp_path / "trained").read_text())["model"]
    folder = tmp_path / "vocabulary"
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(content["vocab"]))
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in content["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    config = LanguageModelConfig(vocabulary=str(folder))
    tokens, size = tokenize(config, "the ball the ball " * 50, tmp_path / "read")
    assert np.array_equal(tokens, trained)
    assert size == len(content["vocab"])
    shutil.rmtree(folder)
    with pytest.raises(PipelineError, match=r"vocab\.json: missing"):
        tokenize(config, "the ball", tmp_path / "read")
