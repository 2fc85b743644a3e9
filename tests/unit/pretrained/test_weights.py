"""Files of weights in every format, what is refused, and what a file that does not fit is told."""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.errors import PipelineError
from pipeline.pretrained import weights

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(3)}
MODEL = {name: torch.zeros_like(tensor) for name, tensor in TENSORS.items()}


def write(path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(TENSORS, path)
    elif path.suffix == ".pkl":
        arrays = {name: tensor.numpy() for name, tensor in TENSORS.items()}
        path.write_bytes(pickle.dumps({"model": arrays, "author": "somebody"}))
    else:
        torch.save(OrderedDict(TENSORS), path)
    return path


@pytest.mark.parametrize("suffix", ["safetensors", "bin", "pth", "pt", "pkl"])
def test_every_format_gives_the_same_tensors(tmp_path: Path, suffix: str) -> None:
    found = weights.read(write(tmp_path / f"weights.{suffix}"))
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(found[name], tensor)
    found["a.weight"] += 1  # they are nobody else's


def test_safetensors_come_first(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no file of weights"):
        weights.find(tmp_path)
    write(tmp_path / "pytorch_model.bin")
    assert weights.find(tmp_path).name == "pytorch_model.bin"
    write(tmp_path / "model.safetensors")
    assert weights.find(tmp_path).name == "model.safetensors"


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> object:
        return Path.touch, (self.marker,)


def test_a_torch_file_with_code_in_it_is_refused(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "weights.bin"
    torch.save({"a.weight": Bomb(marker)}, path)
    with pytest.raises(PipelineError, match="nothing but tensors is read") as caught:
        weights.read(path)
    assert "\n" not in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("suffix", ["safetensors", "bin", "pkl"])
def test_a_truncated_file_is_one_line(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"weights.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(PipelineError, match="get it again") as caught:
        weights.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_bytes_never_escape_as_another_error(tmp_path: Path, zipped: bool) -> None:
    path, draw = tmp_path / "weights.bin", np.random.default_rng(0)
    torch.save(TENSORS, path, _use_new_zipfile_serialization=zipped)
    content, refused = path.read_bytes(), list[str]()
    for _ in range(300):
        damaged = bytearray(content)
        damaged[draw.integers(len(content))] = draw.integers(256)
        path.write_bytes(damaged)
        try:
            weights.read(path)
        except PipelineError as error:
            refused.append(str(error))
    assert refused
    assert "\n" not in "".join(refused)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_become_of_the_models_precision(kind: torch.dtype) -> None:
    found = TENSORS | {"a.weight": TENSORS["a.weight"].to(kind)}
    kept = weights.fitting(found, MODEL, Path("file"), lambda name: False)
    assert {name: tensor.dtype for name, tensor in kept.items()} == {
        name: tensor.dtype for name, tensor in MODEL.items()
    }
    whole = TENSORS | {"a.weight": TENSORS["a.weight"].to(torch.int32)}
    with pytest.raises(PipelineError, match=r"is torch\.int32, expected torch\.float32"):
        weights.fitting(whole, MODEL, Path("file"), lambda name: False)


def test_what_is_no_file_of_tensors(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"none\.bin: no such file; run retrieve"):
        weights.read(tmp_path / "none.bin")
    (tmp_path / "weights.h5").write_bytes(b"")
    with pytest.raises(PipelineError, match=r"read from \.safetensors, \.bin"):
        weights.read(tmp_path / "weights.h5")
    torch.save([1, 2], tmp_path / "list.bin")
    with pytest.raises(PipelineError, match="holds list"):
        weights.read(tmp_path / "list.bin")
    torch.save({"a.weight": "text"}, tmp_path / "text.bin")
    with pytest.raises(PipelineError, match=r"a\.weight is str"):
        weights.read(tmp_path / "text.bin")


def test_what_fits_is_kept() -> None:
    extra = {**TENSORS, "head.weight": torch.zeros(1)}
    kept = weights.fitting(extra, MODEL, Path("file"), lambda name: name.startswith("head."))
    assert kept.keys() == MODEL.keys()


def test_the_first_five_faults_are_listed() -> None:
    model = {f"layer{index}": torch.zeros(2) for index in range(7)}
    found = {"layer6": torch.zeros(3, 1), "other": torch.zeros(2)}
    with pytest.raises(PipelineError) as caught:
        weights.fitting(found, model, Path("some.bin"), lambda name: False)
    assert str(caught.value) == (
        "some.bin: not the weights of this model: layer0 is missing; layer1 is missing; "
        "layer2 is missing; layer3 is missing; layer4 is missing (and 3 more); "
        "name the right file, or get it again"
    )
    del model["layer0"], model["layer1"], model["layer2"], model["layer3"]
    with pytest.raises(PipelineError) as caught:
        weights.fitting(found, model, Path("some.bin"), lambda name: False)
    assert "layer6 is (3, 1), expected (2,); other is unknown; name" in str(caught.value)
