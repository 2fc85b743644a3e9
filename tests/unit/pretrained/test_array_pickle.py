"""Pickles of arrays are read without unpickling: every protocol, and nothing that could run."""

import collections
import contextlib
import os
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.pretrained import array_pickle

CONTENT = {
    "model": collections.OrderedDict(
        weight=np.arange(6, dtype=np.float32).reshape(2, 3),
        turned=np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        big_endian=np.arange(3, dtype=">f4"),
        count=np.array(7),
        none=np.zeros((0, 4), np.float16),
        flags=np.array([True, False]),
    ),
    "iteration": 270_000,
    "rate": 0.5,
    "author": "Détectron",
    "heuristics": True,
    "nothing": None,
    "list": [1, (2, 3), {"a": -(2**70)}],
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_come_back(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps(CONTENT, protocol))
    found = array_pickle.read(path)
    assert list(found) == list(CONTENT)
    assert {key: found[key] for key in found if key != "model"} == {
        key: CONTENT[key] for key in CONTENT if key != "model"
    }
    for name, expected in CONTENT["model"].items():
        np.testing.assert_array_equal(found["model"][name], expected)
        assert found["model"][name].dtype == expected.dtype


def test_what_python_2_wrote(tmp_path: Path) -> None:
    """Its texts are bytes, and the names of numpy's functions are without underscores."""
    raw = np.array([1.0, -2.0], "<f4").tobytes()
    path = tmp_path / "weights.pkl"
    path.write_bytes(
        b"\x80\x02}U\x06weightcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        b"K\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08" + raw + b"tbs."
    )
    np.testing.assert_array_equal(array_pickle.read(path)["weight"], np.float32([1, -2]))


class Bomb:
    """What unpickling would run."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call[0], self.call[1:]


class Plain:
    """An object without any danger; it is none of a reader's business either."""


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (lambda marker: Bomb(os.system, f"touch {marker}"), "posix.system"),
        (lambda marker: Bomb(exec, f"open({str(marker)!r}, 'w')"), ".exec"),
        (lambda marker: Bomb(np.save, str(marker), np.zeros(1)), "numpy.save"),
        (lambda marker: Bomb(np.load, str(marker)), "numpy.load"),
        (lambda marker: Plain(), "Plain"),
        (lambda marker: np.array([Plain()], object), "'O8'"),
        (lambda marker: np.zeros(2, [("x", "f4")]), "'V4'"),
        (lambda marker: np.dtype("f4"), "name of code"),
        (lambda marker: np.ndarray, "name of code"),
        (lambda marker: collections.Counter(), "collections.Counter"),
    ],
    ids=[
        *("system", "exec", "numpy writes", "numpy reads", "object", "array of objects", "record"),
        *("type as a value", "class as a value", "counter"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_everything_else_is_refused_and_nothing_runs(
    tmp_path: Path, value: object, cause: str, protocol: int
) -> None:
    marker, path = tmp_path / "marker", tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"weight": value(marker)}, protocol))  # type: ignore[operator]
    with pytest.raises(PipelineError, match="nothing in it is run") as caught:
        array_pickle.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    if protocol >= 2:
        assert cause in str(caught.value)
    assert not marker.exists()


def test_no_opcode_can_name_code_but_those_that_are_compared() -> None:
    """Of all opcodes of the format, those that could import, call or fetch are refused."""
    machine = array_pickle._Machine()
    dangerous = {"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "PERSID", "BINPERSID", "EXT1", "EXT2"}
    for name in dangerous | {"EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}:
        assert name in {opcode.name for opcode in pickletools.opcodes}
        with pytest.raises(array_pickle._Refused):
            machine.step(name, "os system")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_file_is_one_line(tmp_path: Path, share: float) -> None:
    whole = pickle.dumps(CONTENT, 4)
    path = tmp_path / "weights.pkl"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(PipelineError, match="not a whole pickle") as caught:
        array_pickle.read(path)
    assert "\n" not in str(caught.value)


def test_damaged_bytes_never_escape_as_another_error(tmp_path: Path) -> None:
    whole = bytearray(pickle.dumps(CONTENT, 4))
    generator = np.random.default_rng(0)
    path = tmp_path / "weights.pkl"
    for _ in range(300):
        damaged = bytearray(whole)
        for place in generator.integers(len(whole), size=3):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(PipelineError):
            array_pickle.read(path)


def test_a_list_is_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(PipelineError, match="holds list, expected names and arrays"):
        array_pickle.read(path)
    with pytest.raises(PipelineError, match="no such file"):
        array_pickle.read(tmp_path / "none.pkl")
