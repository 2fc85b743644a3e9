"""What reads the formats of others: archives, arrays, HDF5, YAML, tables of files."""

import gzip
import io
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trying import attempt, damaged, examples

from pipeline.config import published
from pipeline.data.sources import _hdf5, _npz
from pipeline.data.sources._gzip_array import GzipArray
from pipeline.io.yaml import read_yaml

SHAPES = st.one_of(
    st.lists(st.integers(-2, 2**70), max_size=4).map(tuple).map(str),
    st.sampled_from(["(3, 4)", "(12,)", "()", "(True,)", "(0, 10**15)", "[3]", "3", "(3.0,)", "("]),
)
KINDS = [f"{kind}{size}" for kind in "biufUSOVMcx" for size in (0, 1, 4, 8, 99)]
TYPES = st.sampled_from([order + kind for order in "<>|" for kind in KINDS])
NUMBERS = np.arange(12, dtype=np.int32).reshape(3, 4)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers")


def array(data: st.DataObject) -> bytes:
    """An array in NumPy's format whose header says something else than is there."""
    said = {"descr": repr(data.draw(TYPES)), "fortran_order": "False", "shape": data.draw(SHAPES)}
    if data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(said)))
        said[key] = data.draw(st.sampled_from(["None", "True", "{}", "[('a', '<i4')]", "9" * 5000]))
    text = "{" + ", ".join(f"'{key}': {value}" for key, value in said.items()) + ", }\n"
    version = data.draw(st.sampled_from([b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x09\x09"]))
    length = data.draw(st.sampled_from([len(text), len(text), 0, 9, 65535]))
    content = data.draw(st.sampled_from([b"", NUMBERS.tobytes(), bytes(1000)]))
    whole = b"\x93NUMPY" + version + length.to_bytes(2, "little") + text.encode() + content
    return damaged(whole, data) if data.draw(st.integers(0, 4)) == 0 else whole


@given(data=st.data())
@examples(100)
def test_arrays_in_archives(folder: Path, data: st.DataObject) -> None:
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", data.draw(st.sampled_from(kinds))) as archive:
        archive.writestr(data.draw(st.sampled_from(["a.npy", "a", "b.npy"])), array(data))
    content = file.getvalue()
    if data.draw(st.booleans()):
        changed = bytearray(content)
        directory = content.rindex(b"PK\x01\x02")
        for place in data.draw(st.lists(st.integers(directory, len(content) - 1), max_size=3)):
            changed[place] = data.draw(st.integers(0, 255))
        content = bytes(changed)
    (folder / "a.npz").write_bytes(content)
    attempt(lambda: _npz.read(folder / "a.npz", ["a"]))


@given(data=st.data())
@examples(100)
def test_arrays_in_gzip(folder: Path, data: st.DataObject) -> None:
    content = gzip.compress(array(data), compresslevel=1)
    if data.draw(st.booleans()):
        content = damaged(content, data)
    (folder / "a.gz").write_bytes(content)

    def read() -> np.ndarray:
        with GzipArray(folder / "a.gz") as found:
            return found.whole()

    attempt(read)


@pytest.fixture(scope="session")
def hdf5(folder: Path) -> bytes:
    with h5py.File(folder / "whole.hdf5", "w") as file:
        file.create_dataset("actions", data=NUMBERS, compression="gzip", chunks=(2, 2))
        file["infos/qpos"] = np.arange(6.0)
        file.create_dataset("rewards", (9,), "f4", fletcher32=True, chunks=(3,))[:] = 1
    return (folder / "whole.hdf5").read_bytes()


@given(data=st.data())
@examples(60)
def test_hdf5_files_of_others(folder: Path, hdf5: bytes, data: st.DataObject) -> None:
    path = folder / "damaged.hdf5"
    path.write_bytes(damaged(hdf5, data))

    def read() -> None:
        with _hdf5.opened(path) as file:
            for name in ("actions", "infos/qpos", "rewards"):
                _hdf5.array(file, path, name)[:]

    attempt(read)


PIECES = (
    *("a: ", "b: ", "- ", "? ", ": ", "\n", "\n  ", " ", "[", "]", "{", "}", ", ", "&a ", "*a"),
    *("&b ", "*b", "<<: ", "!!int ", "!!float ", "!!timestamp ", "!!binary ", "!!set ", "!!omap "),
    *(
        "!!python/name:os.system ",
        "!x ",
        "|\n",
        ">\n",
        "'",
        '"',
        "#",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
    ),
    *(
        "2026-02-30",
        "12:99",
        "0x",
        "0b2",
        "1e999",
        ".nan",
        "~",
        "yes",
        "\t",
        "\x07",
        "\ud83d",
        "9" * 5000,
    ),
    *("null", "=", "@", "`", "\ufeff", "1_0", "190:20:30", "\\u12", "[" * 60, "- " * 60),
)


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=25))
@examples(120)
def test_yaml_of_anything(folder: Path, pieces: list[str]) -> None:
    path = folder / "a.yaml"
    path.write_bytes("".join(pieces).encode("utf-8", "surrogatepass"))
    attempt(lambda: read_yaml(path))


ROW = ["net", "somebody/net", "abc", "net.bin", "https://example.org/net.bin", "", "a" * 64, "3"]
CELLS = st.sampled_from(
    ["", '"', "'", "\n", "\0", "\r", "é", "-1", "1e9", "9" * 5000, "a,b", "../x"]
)


@given(data=st.data())
@examples(60)
def test_tables_of_published_files(folder: Path, data: st.DataObject) -> None:
    row = [*ROW, "MIT"]
    for place in data.draw(st.lists(st.integers(0, len(row) - 1), max_size=3)):
        row[place] = data.draw(CELLS)
    lines = [",".join(published.COLUMNS), ",".join(row), ",".join([*ROW, "MIT"])]
    text = data.draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines)
    content = text.encode(data.draw(st.sampled_from(["utf-8", "latin-1", "utf-16"])))
    path = folder / "artefacts.csv"
    path.write_bytes(damaged(content, data) if data.draw(st.booleans()) else content)
    attempt(lambda: published.read(path))
