"""The container: round trip, determinism, every kind of damage, bounded memory, forked workers."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.io import artefact as storage
from pipeline.io.artefact import Artefact, ArtefactWriter

ROWS = 900
TOKENS = np.random.default_rng(0).integers(0, 99, (ROWS, 56, 32)).astype(np.float16)
MASK = np.random.default_rng(1).random((ROWS, 56)) > 0.5


def write(path: Path, piece: int = 128) -> Path:
    with ArtefactWriter(path, "cache", {"weights": "none", "sizes": [1, 2]}) as writer:
        writer.create("tokens", (56, 32), np.float16)
        for start in range(0, ROWS, piece):
            writer.append("tokens", TOKENS[start : start + piece])
        writer.write("mask", MASK)
        writer.write("empty", np.zeros((0, 3), np.float32))
        writer.set_attribute("steps", 7)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "cache.h5")


def test_round_trip(path: Path) -> None:
    artefact = Artefact(path, "cache")
    assert artefact.attributes == {"weights": "none", "sizes": [1, 2], "steps": 7}
    assert artefact.names == ["empty", "mask", "tokens"]
    assert artefact.shape("tokens") == TOKENS.shape
    assert artefact.dtype("tokens") == np.float16
    np.testing.assert_array_equal(artefact.read("tokens"), TOKENS)
    np.testing.assert_array_equal(artefact.read("tokens", 250, 777), TOKENS[250:777])
    np.testing.assert_array_equal(artefact.read("mask"), MASK)
    assert artefact.read("mask").dtype == np.bool_
    assert artefact.read("empty").shape == (0, 3)
    assert artefact.read("tokens", 10, 10).shape == (0, 56, 32)
    assert artefact.damaged_blocks() == []


def test_same_content_same_bytes(path: Path, tmp_path: Path) -> None:
    first = hashlib.sha256(path.read_bytes()).hexdigest()
    time.sleep(1.1)
    second = write(tmp_path / "other.h5", piece=77)
    assert hashlib.sha256(second.read_bytes()).hexdigest() == first


@pytest.mark.parametrize("memory_mb", [0, 1, 2048])
def test_gather_equals_fancy_indexing(path: Path, memory_mb: int) -> None:
    artefact = Artefact(path, "cache", memory_mb=memory_mb)
    generator = np.random.default_rng(2)
    for shape in [(5,), (64, 8), (0,), (3, 1, 4)]:
        rows = generator.integers(0, ROWS, shape)
        np.testing.assert_array_equal(artefact.gather("tokens", rows), TOKENS[rows])
        np.testing.assert_array_equal(artefact.gather("mask", rows), MASK[rows])


def test_a_file_that_was_replaced_after_it_was_closed(path: Path) -> None:
    artefact = Artefact(path, "cache")
    artefact.read("mask")
    artefact.close()
    with ArtefactWriter(path, "cache", {}) as writer:
        writer.write("mask", ~MASK)
    np.testing.assert_array_equal(artefact.read("mask"), ~MASK)


def test_gather_stays_within_its_memory(path: Path) -> None:
    artefact = Artefact(path, "cache", memory_mb=2)
    artefact.gather("mask", np.arange(ROWS))
    artefact.gather("tokens", np.arange(ROWS))
    cache = artefact._cache
    assert 0 < cache._block_bytes + cache._whole_bytes <= 2 << 20


@pytest.mark.parametrize("row", [-1, ROWS])
def test_gather_outside_the_array(path: Path, row: int) -> None:
    with pytest.raises(IndexError):
        Artefact(path, "cache").gather("tokens", np.array([0, row]))


def _digest(artefact: Artefact, queue: "multiprocessing.Queue[str]") -> None:
    generator = np.random.default_rng(3)
    digest = hashlib.sha256()
    for _ in range(20):
        digest.update(artefact.gather("tokens", generator.integers(0, ROWS, 50)).tobytes())
    queue.put(digest.hexdigest())


def test_two_forked_workers_read_the_same_bytes(path: Path) -> None:
    artefact = Artefact(path, "cache", memory_mb=1)
    artefact.gather("tokens", np.arange(3))  # the parent's file is open when the workers fork
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[str] = context.Queue()
    workers = [context.Process(target=_digest, args=(artefact, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    _digest(artefact, queue)
    digests = {queue.get(timeout=900) for _ in range(3)}
    for worker in workers:
        worker.join()
    assert len(digests) == 1


def test_flipped_byte_is_named(path: Path) -> None:
    with h5py.File(path) as file:
        blocks = file["arrays/tokens"]
        length = blocks.chunks[0]
        place = blocks.id.get_chunk_info(1)
    damage(path, place.byte_offset + place.size // 2)
    label = f"tokens rows {length}-{min(2 * length, ROWS) - 1}"
    assert Artefact(path, None).damaged_blocks() == [label]
    with pytest.raises(PipelineError, match=rf"cache\.h5.*{label}.*delete"):
        Artefact(path, "cache").read("tokens")
    with pytest.raises(PipelineError, match=label):
        Artefact(path, "cache").gather("tokens", np.array([length]))
    np.testing.assert_array_equal(
        Artefact(path, "cache").read("tokens", 0, length), TOKENS[:length]
    )


@pytest.mark.parametrize(
    "lie",
    [
        {"rows": 10**15},
        {"rows": 10**15, "block_rows": 10**15},
        {"row_shape": [10**12]},
        {"dtype": "<U99999999"},
        {"dtype": "object"},
        {"block_rows": 0},
        {"block_rows": 10**9},
        {"rows": "9"},
        {"row_shape": None},
    ],
    ids=str,
)
def test_a_header_that_promises_more_than_is_there(path: Path, lie: dict[str, object]) -> None:
    with h5py.File(path, "a") as file:
        header = json.loads(file["header"][:].tobytes())
        header["arrays"]["mask"] |= lie
        text = json.dumps(header).encode()
        del file["header"]
        file["header"] = np.frombuffer(text, np.uint8)
        file.attrs["header_crc32"] = zlib.crc32(text)
    for read in (lambda it: it.read("mask"), lambda it: it.gather("mask", np.zeros(1, int))):
        artefact = Artefact(path, "cache")
        assert len(artefact.read("tokens", 0, 3)) == 3
        with pytest.raises(PipelineError, match=r"cache\.h5: damaged array mask \("):
            read(artefact)


def test_blocks_that_are_not_there(path: Path) -> None:
    """An array of 10¹⁵ rows of which nothing is stored: HDF5 would give zeros for them."""
    with h5py.File(path, "a") as file:
        header = json.loads(file["header"][:].tobytes())
        header["arrays"]["mask"]["rows"] = 10**15
        file["arrays/mask"].resize(10**15, axis=0)
        text = json.dumps(header).encode()
        del file["header"]
        file["header"] = np.frombuffer(text, np.uint8)
        file.attrs["header_crc32"] = zlib.crc32(text)
    with pytest.raises(PipelineError, match="blocks promised, 1 there"):
        Artefact(path, "cache").read("mask", 10**14, 10**14 + 3)


def test_damaged_attributes(path: Path) -> None:
    damage(path, path.read_bytes().index(b'"weights"') + 3)
    with pytest.raises(PipelineError, match="damaged header"):
        _ = Artefact(path, "cache").attributes


@pytest.mark.parametrize("keep", [0, 10, 5_000, -100])
def test_truncated(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PipelineError, match=r"cache\.h5.*truncated"):
        Artefact(path, "cache").read("mask")


def test_not_hdf5(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_text("hello")
    with pytest.raises(PipelineError, match=r"x\.h5.*not HDF5"):
        Artefact(tmp_path / "x.h5", "cache").read("mask")


def test_foreign_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["mask"] = MASK
    with pytest.raises(PipelineError, match="not an artefact"):
        Artefact(tmp_path / "x.h5", "cache").read("mask")


def test_missing_file_kind_and_array(path: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"none\.h5: missing"):
        Artefact(tmp_path / "none.h5", "cache").read("mask")
    with pytest.raises(PipelineError, match="holds cache, expected frames"):
        Artefact(path, "frames").read("mask")
    with pytest.raises(PipelineError, match=r"no array boxes.*mask"):
        Artefact(path, "cache").read("boxes")


def test_other_schema_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "SCHEMA_VERSION", 2)
    with pytest.raises(PipelineError, match=r"schema version 1.*reads 2.*delete"):
        Artefact(path, "cache").read("mask")


def fail_after_writing(path: Path) -> None:
    with ArtefactWriter(path, "cache", {}) as writer:
        writer.write("mask", MASK)
        raise RuntimeError("stop")


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"):
        fail_after_writing(tmp_path / "a.h5")
    with pytest.raises(ValueError, match="JSON"), ArtefactWriter(tmp_path / "a.h5", "k", {}) as w:
        w.set_attribute("score", float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_failed_rewrite_keeps_the_old_file(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="stop"):
        fail_after_writing(path)
    assert path.read_bytes() == before


def test_killed_write_leaves_no_result_and_can_be_repeated(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; import numpy as np;"
        "from pipeline.io.artefact import ArtefactWriter\n"
        "with ArtefactWriter(Path(sys.argv[1]), 'cache', {}) as writer:\n"
        "    writer.write('tokens', np.ones((4000, 500)))\n"
        "    print('written', flush=True); time.sleep(900)\n"
    )
    target = tmp_path / "cache.h5"
    child = subprocess.Popen([sys.executable, "-c", program, target], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"written\n"
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert not target.exists()
    write(target)
    assert list(tmp_path.iterdir()) == [target]
    np.testing.assert_array_equal(Artefact(target, "cache").read("tokens"), TOKENS)


def test_a_disk_that_takes_no_more_ends_no_process_by_a_signal(tmp_path: Path) -> None:
    """Refused while HDF5 writes, flushes, closes or ends: it writes once more in each of them."""
    program = (
        "import resource, signal, sys; from pathlib import Path; import numpy as np\n"
        "from pipeline.errors import PipelineError; from pipeline.io.artefact import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "try:\n"
        "    with ArtefactWriter(Path(sys.argv[1]), 'cache', {'a': 'b' * 3000}) as writer:\n"
        "        writer.write('x', np.random.default_rng(0).random((600, 500)))\n"
        "        writer.write('y', np.arange(5000))\n"
        "except PipelineError as error: sys.exit(str(error))\n"
    )
    path = tmp_path / "whole.h5"

    def attempt(limit: int) -> "subprocess.CompletedProcess[str]":
        # -B: Python would keep what it could write of a compiled module.
        command = [sys.executable, "-B", "-c", program, str(path), str(limit)]
        return subprocess.run(command, capture_output=True, text=True)

    assert attempt(1 << 30).returncode == 0
    size = path.stat().st_size
    path.unlink()
    for limit in (0, 1000, 5000, 20_000, size // 3, size // 2, size - 60_000, size - 1):
        done = attempt(limit)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), (limit, done)
        assert f"{path}: cannot be written: File too large; raise the" in done.stderr
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "rows", [np.zeros((2, 5), np.float16), np.zeros((2, 56, 32), np.float32)], ids=["shape", "type"]
)
def test_rows_that_do_not_fit(tmp_path: Path, rows: np.ndarray) -> None:
    with ArtefactWriter(tmp_path / "a.h5", "cache", {}) as writer:
        writer.create("tokens", (56, 32), np.float16)
        with pytest.raises(ValueError, match="expected"):
            writer.append("tokens", rows)


def damage(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x40
    path.write_bytes(bytes(content))
