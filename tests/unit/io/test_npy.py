"""Archives and arrays that say more of themselves than they hold, and other kinds of files."""

import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.sources import _npz
from pipeline.data.sources._gzip_array import GzipArray
from pipeline.errors import PipelineError
from pipeline.io import npy

NUMBERS = np.arange(12, dtype=np.int32).reshape(3, 4)
MOST = 50_000_000
"""Bytes that a refusal may take."""


def array(content: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, content, version=(1, 0))
    return file.getvalue()


def header(said: str, version: bytes = b"\x01\x00", content: bytes = b"\0" * 64) -> bytes:
    """An array whose header is `said`."""
    text = said.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + content


def shaped(shape: str, kind: str = "<i4") -> bytes:
    return header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}")


LIES = {
    "much": shaped("(1000000000000000,)"),
    "overflows": shaped("(4294967296, 4294967296, 4294967297)"),
    "rows of nothing": shaped("(1000000000000000, 0)"),
    "texts of nothing": shaped("(1000000000000000,)", "<U0"),
    "large texts": shaped("(3,)", "<U99999999"),
    "negative": shaped("(-3,)"),
    "digits": shaped(f"({'9' * 5000},)"),
    "no number": shaped("(True, 1.5)"),
    "deep": shaped("(" * 3000),
    "expression": shaped("(9**9**9,)"),
    "no literal": header("{'descr': (("),
    "no header": header("[]"),
    "fields": header("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (3,), }"),
    "objects": shaped("(3,)", "|O"),
    "times": shaped("(3,)", "<M8[s]"),
    "unknown type": shaped("(3,)", "<q99"),
    "version 2": header("{}", b"\x02\x00"),
    "version 9": header("{}", b"\x09\x00"),
    "no array": b"hello",
    "nothing": b"",
    "cut": array(NUMBERS)[:-1],
    "longer": array(NUMBERS) + b"x",
}


def archive(path: Path, content: bytes, kind: int = zipfile.ZIP_DEFLATED, name: str = "a") -> Path:
    with zipfile.ZipFile(path, "w", kind) as file:
        file.writestr(f"{name}.npy", content)
    return path


def patched(path: Path, changes: dict[int, bytes]) -> None:
    """Change the entry of the only member in the directory at the archive's end."""
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    for place, value in changes.items():
        content[entry + place : entry + place + len(value)] = value
    path.write_bytes(content)


def refused(work: Callable[[], object]) -> str:
    """What it is refused with, after little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(PipelineError) as caught:
            work()
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
    return str(caught.value)


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_writes_is_read(tmp_path: Path, order: str) -> None:
    arrays = {
        "numbers": np.array(NUMBERS, order=order),  # type: ignore[call-overload]
        "one": np.array(3.5),
        "text": np.array("meta"),
        "none": np.zeros((0, 4)),
        "flags": np.array([True, False]),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = npy.read_archive(tmp_path / "a.npz", [*arrays, "missing"])
        assert found.keys() == arrays.keys()
        for name, content in arrays.items():
            assert found[name].dtype == content.dtype
            assert np.array_equal(found[name], content)


@pytest.mark.parametrize("lie", LIES)
def test_lies_in_an_archive(tmp_path: Path, lie: str) -> None:
    path = archive(tmp_path / "a.npz", LIES[lie])
    assert "a.npz: damaged recording (a: " in refused(lambda: _npz.read(path, ["a"]))


@pytest.mark.parametrize("lie", LIES)
def test_lies_in_gzip(tmp_path: Path, lie: str) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(LIES[lie]))

    def read() -> None:
        with GzipArray(path) as found:
            found.whole()

    assert "a.gz: " in refused(read)


def test_gzip_that_is_longer_than_its_length_can_say(tmp_path: Path) -> None:
    """The last bytes of gzip count modulo 4 GiB, so a lie of 8 GiB is no lie to them."""
    path = tmp_path / "a.gz"
    content = shaped(f"({2**31 + 16},)")
    whole = gzip.compress(content)
    assert len(content) == int.from_bytes(whole[-4:], "little")
    path.write_bytes(whole)
    assert "more than a file of" in refused(lambda: GzipArray(path))


@pytest.mark.parametrize(
    ("kind", "cause"),
    [(zipfile.ZIP_BZIP2, "unknown way"), (zipfile.ZIP_LZMA, "unknown way")],
)
def test_other_compressions(tmp_path: Path, kind: int, cause: str) -> None:
    path = archive(tmp_path / "a.npz", array(NUMBERS), kind)
    assert cause in refused(lambda: _npz.read(path, ["a"]))


SIZES = (1 << 31).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({10: b"\x63\x00"}, "unknown way"),
        ({8: b"\x01\x00"}, "password"),
        ({24: SIZES}, "bytes promised"),
        ({20: SIZES, 24: SIZES}, "bytes promised"),
        ({16: b"\0\0\0\0"}, "CRC"),
        ({42: b"\xff\xff\xff\x00"}, "damaged recording"),
    ],
    ids=["kind", "encrypted", "size", "both sizes", "checksum", "place"],
)
def test_directories_that_lie(tmp_path: Path, changes: dict[int, bytes], cause: str) -> None:
    path = archive(tmp_path / "a.npz", array(NUMBERS))
    patched(path, changes)
    assert cause in refused(lambda: _npz.read(path, ["a"]))


def test_more_than_a_recording_can_be(tmp_path: Path) -> None:
    """Zeros, which deflate makes a thousand times smaller: whole, and too much for any memory."""
    path = tmp_path / "a.npz"
    content = array(np.zeros(40 << 20, np.uint8))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("a.npy", content)
        file.writestr("b.npy", content)
    assert "its arrays have 83," in refused(lambda: _npz.read(path, ["a", "b"]))
    assert len(_npz.read(path, ["a"])["a"]) == 40 << 20


def test_an_array_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(array(NUMBERS))
    assert "damaged recording" in refused(lambda: _npz.read(tmp_path / "a.npz", ["a"]))


def test_what_is_not_asked_for_must_be_an_array_too(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", array(NUMBERS))
    assert "without b" in refused(lambda: _npz.read(path, ["a", "b"]))
    for name, content in {"b.npy": LIES["much"], "notes.txt": b"hello"}.items():
        path = archive(tmp_path / "a.npz", array(NUMBERS))
        with zipfile.ZipFile(path, "a") as file:
            file.writestr(name, content)
        assert name.removesuffix(".npy") in refused(partial(_npz.read, path, ["a"]))
