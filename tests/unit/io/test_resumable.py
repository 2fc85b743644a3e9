"""Parts and shards: the same bytes however the work was divided or interrupted."""

import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.io import disk_space, resumable, running_stats
from pipeline.io.artefact import Artefact
from pipeline.io.prefetch import AHEAD, overlapped
from pipeline.io.resumable import PartsWriter, Rows
from pipeline.io.shard import Shard

BATCHES = 11
WIDE = np.random.default_rng(0).normal(size=(400, 3000)).astype(np.float16)
"""Several blocks; batches are of different lengths, which are no part of a block."""
BOUNDS = np.linspace(0, len(WIDE), BATCHES + 1).astype(int)
COLUMNS = {"wide": ((3000,), np.float16), "narrow": ((), np.int64)}


class Work:
    """Makes the rows of a batch, and fails on request."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at
        self.made: list[int] = []

    def compute(self, batch: int) -> Rows:
        if batch == self.fails_at:
            raise InterruptedError
        self.made.append(batch)
        wide = WIDE[BOUNDS[batch] : BOUNDS[batch + 1]]
        narrow = np.arange(BOUNDS[batch], BOUNDS[batch + 1])
        return Rows({"wide": wide, "narrow": narrow}, running_stats.sums(wide))

    def run(self, path: Path, identity: str | None = None, shard: Shard | None = None) -> bytes:
        with PartsWriter(path, "test", {"a": 1}, identity, shard) as writer:
            writer.run(COLUMNS, BATCHES, lambda batch: batch, self.compute, lambda r: r, "test")
            finish(writer)
        return path.read_bytes()


def finish(writer: PartsWriter) -> None:
    if writer.shard is None:
        writer.write("mean", running_stats.mean(writer.sums))
        writer.write("std", running_stats.std(writer.sums))


@pytest.fixture
def undisturbed(tmp_path: Path) -> bytes:
    return Work().run(tmp_path / "undisturbed.h5")


def test_content(tmp_path: Path, undisturbed: bytes) -> None:
    artefact = Artefact(tmp_path / "undisturbed.h5", "test")
    np.testing.assert_array_equal(artefact.read("wide"), WIDE)
    np.testing.assert_array_equal(artefact.read("narrow"), np.arange(len(WIDE)))
    assert artefact.attributes == {"a": 1}
    exact = WIDE.astype(np.float64)
    np.testing.assert_allclose(artefact.read("mean"), exact.mean(0), atol=1e-7)
    np.testing.assert_allclose(artefact.read("std"), exact.std(0), rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5, BATCHES, BATCHES + 3])
def test_shards_together_are_the_whole(tmp_path: Path, undisturbed: bytes, count: int) -> None:
    shards = []
    for index in range(1, count + 1):
        shards.append(tmp_path / f"{index}.h5")
        Work().run(shards[-1], shard=Shard.parse(f"{index}-of-{count}"))
    with PartsWriter(tmp_path / "merged.h5", "test", {"a": 1}) as writer:
        writer.merge(BATCHES, shards[::-1])
        finish(writer)
    assert (tmp_path / "merged.h5").read_bytes() == undisturbed
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("shard", [None, Shard(2, 2)], ids=["whole", "shard"])
def test_goes_on_at_the_last_whole_part(
    tmp_path: Path, shard: Shard | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Work()
    expected = whole.run(tmp_path / "expected.h5", "same", shard)
    monkeypatch.setattr(resumable, "SAVE_SECONDS", 0.0)
    first, failing = whole.made[0], whole.made[0] + 3
    for attempt in range(2):  # the second fails at once, and loses nothing
        disturbed = Work(fails_at=failing)
        with pytest.raises(InterruptedError):
            disturbed.run(tmp_path / "out.h5", "same", shard)
        assert disturbed.made == ([] if attempt else list(range(first, failing)))
        assert not (tmp_path / "out.h5").exists()
    again = Work()
    assert again.run(tmp_path / "out.h5", "same", shard) == expected
    assert again.made == whole.made[3:]
    assert not (tmp_path / ".out.h5.parts").exists()


@pytest.mark.parametrize("identity", ["other", None])
def test_parts_of_another_making_are_not_gone_on_with(
    tmp_path: Path, undisturbed: bytes, identity: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "SAVE_SECONDS", 0.0)
    with pytest.raises(InterruptedError):
        Work(fails_at=4).run(tmp_path / "out.h5", "one")
    again = Work()
    assert again.run(tmp_path / "out.h5", identity) == undisturbed
    assert again.made == list(range(BATCHES))


def test_a_damaged_part_is_made_again(
    tmp_path: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "SAVE_SECONDS", 0.0)
    with pytest.raises(InterruptedError):
        Work(fails_at=6).run(tmp_path / "out.h5", "same")
    damaged = tmp_path / ".out.h5.parts" / "00000002.h5"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    again = Work()
    assert again.run(tmp_path / "out.h5", "same") == undisturbed
    assert again.made == list(range(2, BATCHES))


def test_shards_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.h5" for index in (1, 2, 3)]
    for index, path in enumerate(paths, 1):
        Work().run(path, shard=Shard(index, 3))
    for chosen, attributes, batches, match in (
        (paths[1:], {"a": 1}, BATCHES, "2.h5: of other settings or data, or not the shard from"),
        (paths[:2], {"a": 1}, BATCHES, "the shards end at batch 7 of 11"),
        (paths, {"a": 2}, BATCHES, "1.h5: of other settings"),
        (paths, {"a": 1}, BATCHES + 1, "1.h5: of other settings or data"),
    ):
        with (
            pytest.raises(PipelineError, match=match),
            PartsWriter(tmp_path / "out.h5", "test", attributes) as writer,
        ):
            writer.merge(batches, chosen)
        assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("text", ["", "3", "0-of-2", "3-of-2", "a-of-b"])
def test_no_such_shard(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Shard.parse(text)


def test_a_disk_too_small_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "free_bytes", lambda path: WIDE.nbytes // 2)
    work = Work()
    with pytest.raises(PipelineError, match=r"out.h5: needs about .* GB are free on its disk"):
        work.run(tmp_path / "out.h5", "same")
    assert len(work.made) <= 2 * AHEAD + 2
    assert list(tmp_path.iterdir()) == []


def test_stages_overlap_within_bounds() -> None:
    """Only so many batches are on their way, in order, each step in a thread of its own."""
    order: list[int] = []
    most = on_the_way = 0
    lock = threading.Lock()
    threads: set[tuple[str, int]] = set()

    def read(batch: int) -> int:
        nonlocal on_the_way, most
        with lock:
            on_the_way += 1
            most = max(most, on_the_way)
        threads.add(("read", threading.get_ident()))
        return batch

    def compute(batch: int) -> int:
        threads.add(("compute", threading.get_ident()))
        return batch

    def write(batch: int) -> None:
        nonlocal on_the_way
        threads.add(("write", threading.get_ident()))
        order.append(batch)
        with lock:
            on_the_way -= 1

    overlapped(range(200), read, compute, write)
    assert order == list(range(200))
    assert most <= 2 * AHEAD + 2
    assert ("compute", threading.get_ident()) in threads
    assert len({thread for _, thread in threads}) == 3


@pytest.mark.parametrize("failing", ["read", "compute", "write"])
def test_an_error_in_any_thread_ends_it(failing: str) -> None:
    written: list[int] = []

    def step(name: str, batch: int) -> int:
        if name == failing and batch == 5:
            raise PipelineError(f"{name} failed")
        return batch

    def numbers() -> Iterator[int]:
        yield from range(50)

    with pytest.raises(PipelineError, match=f"{failing} failed"):
        overlapped(
            numbers(),
            lambda batch: step("read", batch),
            lambda batch: step("compute", batch),
            lambda batch: written.append(step("write", batch)),
        )
    assert written[:5] == list(range(5))
    assert len(written) < 50


def test_sums_of_batches_merge_to_the_same_bits() -> None:
    """Whole numbers: neither the order nor the grouping of batches matters."""
    generator = np.random.default_rng(0)
    batches = [
        (10.0 ** generator.integers(-4, 4) * generator.normal(size=(n, 5))).astype(np.float16)
        for n in generator.integers(1, 40, 30)
    ]

    def total(order: NDArray[Any]) -> running_stats.Sums:
        sums: running_stats.Sums = {}
        for index in order:
            sums = running_stats.added(sums, running_stats.sums(batches[index]))
        return sums

    first = total(np.arange(30))
    halves = running_stats.added(total(np.arange(17, 30)), total(np.arange(17)))
    shuffled = total(generator.permutation(30))
    for name, values in first.items():
        np.testing.assert_array_equal(values, halves[name])
        np.testing.assert_array_equal(values, shuffled[name])
    rows = np.concatenate(batches).astype(np.float64)
    np.testing.assert_allclose(running_stats.mean(first), rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(running_stats.std(first), rows.std(0), rtol=1e-6)


def test_sums_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(PipelineError, match="beyond"):
        running_stats.sums(np.full((9, 2), np.inf, np.float32))
    huge = {"sum": np.array([running_stats.LARGEST - 1])}
    with pytest.raises(PipelineError, match="beyond"):
        running_stats.added(huge, huge)


def test_moments_of_one_process_take_large_numbers() -> None:
    """State vectors may be in any unit."""
    rows = np.random.default_rng(0).normal(3e6, 2e6, (5000, 3)).astype(np.float32)
    together = running_stats.Moments()
    for part in np.array_split(rows, 7):
        together.add(part)
    np.testing.assert_allclose(together.mean, rows.mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(together.std, rows.std(0, dtype=np.float64), rtol=1e-5)


def test_memory_does_not_grow_with_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither while parts are made, nor while they become one."""
    monkeypatch.setattr(resumable, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(resumable, "COPIED_BYTES", 1 << 18)
    columns = {"wide": ((3000,), np.float16)}
    peaks = []
    for batches in (5, 60):
        tracemalloc.start()
        with PartsWriter(tmp_path / f"{batches}.h5", "test", {}, "same") as writer:
            writer.run(
                columns, batches, lambda batch: WIDE[:40], lambda rows: {"wide": rows}, Rows, "test"
            )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert Artefact(tmp_path / f"{batches}.h5", "test").shape("wide") == (40 * batches, 3000)
    assert peaks[1] - peaks[0] < 1 << 20 < 60 * 40 * 3000 * 2 / 10
