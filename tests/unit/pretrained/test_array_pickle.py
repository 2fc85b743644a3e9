"""Pickles of arrays are read without unpickling: every protocol, and nothing that could run."""

import collections
import contextlib
import os
import pickle
import pickletools
import struct
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


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def call(name: str, *arguments: bytes) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n(" + b"".join(arguments) + b"tR"


def dtype(code: str, *state: bytes) -> bytes:
    """A type as numpy writes it, and what its __setstate__ would be given."""
    made = call("numpy dtype", text(code), b"\x89\x88")
    return made + b"(" + b"".join(state) + b"tb" if state else made


def array(shape: bytes, of: bytes, raw: bytes = b"", fortran: bytes = b"\x89") -> bytes:
    """An array as numpy writes it: an empty one, and what its __setstate__ would be given."""
    empty = call("numpy.core.multiarray _reconstruct", b"cnumpy\nndarray\n", b"K\0\x85C\x01b")
    return (
        empty + b"(K\x01" + shape + of + fortran + b"B" + struct.pack("<I", len(raw)) + raw + b"tb"
    )


F8, POINTER = dtype("f8"), struct.pack("<Q", 0x4141414141414141)
DEEP = b")" + b"\x85" * 2000
"""A tuple in a tuple in a tuple …"""
RECORD = dtype(
    *("V8", b"K\x03", text("|"), b"N", text("a") + b"\x85"),
    *(b"}" + text("a") + dtype("O") + b"K\0\x86s", b"K\x08K\x01K\0"),
)
"""Numpy's state of a record of one object, but with flags that say that it holds none."""


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (array(b"K\x01\x85", RECORD, POINTER), "numpy type 'V8'"),
        (array(b"K\x01\x85", dtype("O"), POINTER), "numpy type 'O'"),
        (
            call("numpy ndarray", b"K\x01\x85", dtype("f8"), b"C\x08" + POINTER),
            "a call of 'numpy ndarray'",
        ),
        (
            call(
                "numpy.core.multiarray _reconstruct", b"cnumpy\nndarray\n", b"J\0\0\0\x7f\x85C\x01b"
            ),
            "an array without content",
        ),
        (array(b"J\xff\xff\xff\xff\x85", F8, POINTER), "an array without a shape"),
        (array(DEEP, F8), "an array without a shape"),
        (array(b"K\x01\x85", dtype("f8", b"K\x03", text(">"), F8, b"NN"), POINTER), "record type"),
        (b"ccollections\nOrderedDict\n}" + text("x") + b"K\x01sb", "an object with a state"),
        (call("_codecs encode", text("x"), text("punycode")), "text in 'punycode'"),
        (call("numpy dtype", b"]"), "numpy type list"),
        (b"}" + DEEP + b"Ns", "a key that is neither"),
        (b"}\x8b" + struct.pack("<i", 1000) + b"\x7f" * 1000 + b"Ns", "a key that is neither"),
    ],
)
def test_states_made_by_hand_do_not_reach_numpy(tmp_path: Path, value: bytes, cause: str) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(b"\x80\x04}" + text("weight") + value + b"s.")
    with pytest.raises(PipelineError, match=cause):
        array_pickle.read(path)


def test_a_small_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    """What the memo holds may be named again and again."""
    path = tmp_path / "weights.pkl"
    content = text("content") + text("x" * 100_000) + b"q\0s"
    encoded = b"c_codecs\nencode\nh\0" + text("latin1") + b"\x86R"
    named = text("first") + array(b"J" + struct.pack("<I", 10_000) + b"\x85", F8, bytes(80_000))
    for value in (
        content + text("list") + b"](" + encoded * 1000 + b"es",
        named + b"q\0s" + b"".join(text(str(name)) + b"h\0s" for name in range(1000)),
    ):
        path.write_bytes(b"\x80\x02}" + value + b".")
        with pytest.raises(PipelineError, match="the same content again and again"):
            array_pickle.read(path)
    doubling = [b"]q\0s"]
    for level in range(60):
        doubling.append(text(str(level)) + b"](" + b"h%ch%ce" % (level, level))
        doubling.append(b"q%cs" % (level + 1))
    path.write_bytes(b"\x80\x02}" + text("w") + b"".join(doubling) + b".")
    assert len(array_pickle.read(path)) == 61


def test_marks_without_number_take_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(b"\x80\x02}" + text("w") + b"(" * 50_000 + b"t" * 50_000 + b"s.")
    with pytest.raises(PipelineError, match="maximum recursion depth"):
        array_pickle.read(path)


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
