"""Records beside artefacts: what they say, that files are hashed once, that none is half there."""

import getpass
import hashlib
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.config.schema import EnvironmentConfig
from pipeline.environments import identify
from pipeline.errors import PipelineError
from pipeline.hardware import host
from pipeline.io.artefact import Artefact, ArtefactWriter
from pipeline.provenance import checksum
from pipeline.provenance import record as records
from pipeline.provenance.checksum import measure
from pipeline.provenance.record import Job, Record
from pipeline.provenance.source_digest import code_digest

CATCH = EnvironmentConfig(family="catch", game="Catch", random_score=-2, reference_score=6)
STAGE = "pipeline.stages.render_frames"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def made(path: Path, *inputs: Path, **settings: object) -> Record:
    """Record `path` as if a stage had just made it."""
    read = [("trajectories", given, False) for given in inputs]
    records.write(Job(STAGE, settings, read, [path]), datetime.now(UTC))
    return records.read(path)


@pytest.fixture
def one(tmp_path: Path) -> Path:
    path = tmp_path / "one.h5"
    path.write_text("one")
    return path


def test_what_a_record_says(one: Path, tmp_path: Path) -> None:
    made(one)
    two = tmp_path / "two.h5"
    two.write_text("two")
    record = made(two, one, environment=CATCH, seed=3, threads=1, deep={"first_seed": 7})
    assert record.stage == "render_frames"
    assert (record.output.path, record.output.sha256) == (str(two), sha256("two"))
    assert record.output.bytes == 3
    (read,) = record.inputs
    assert (read.option, read.path, read.sha256) == ("trajectories", str(one), sha256("one"))
    assert record.settings["environment"] == CATCH.model_dump(mode="json")
    assert record.seeds == {"seed": 3, "deep.first_seed": 7}
    assert record.environment == {"catch": "1"}
    assert STAGE in record.code.modules
    assert record.code.sha256 == code_digest(record.code.modules)
    assert record.versions["python"] == platform.python_version()
    assert {"numpy", "torch"} <= record.versions.keys()
    assert datetime.fromisoformat(record.started).tzinfo == UTC
    assert record.host == host.describe()
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_the_host_is_a_kind_of_machine() -> None:
    told = host.describe()
    assert told["logical_cores"] == os.cpu_count()
    text = json.dumps(told)
    assert platform.node() not in text
    assert getpass.getuser() not in text.split()
    assert "home" not in text


def test_the_emulator_is_known_by_its_rom() -> None:
    pong = EnvironmentConfig(family="atari", game="Pong", random_score=-21, reference_score=15)
    identity = identify(pong)
    assert identity["rom"] == "pong.bin"
    assert len(identity["rom_sha256"]) == 64


def test_a_folder_is_digested_over_its_sorted_files(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.json", "deep/a.txt"):
        (folder / name).write_text(name)
    expected = sha256(f"{sha256('b.json')}  b.json\n{sha256('deep/a.txt')}  deep/a.txt\n")
    record = made(folder)
    assert records.sidecar(folder) == tmp_path / "encoder.provenance.json"
    assert (record.output.sha256, record.output.bytes) == (expected, 16)
    (folder / ".snakemake_timestamp").touch()
    assert records.content(folder).sha256 == expected
    (folder / "b.json").rename(folder / "c.json")
    assert records.content(folder).sha256 != expected


def test_a_file_that_has_not_changed_is_not_hashed_again(one: Path) -> None:
    record = made(one)
    claimed = record.output.model_copy(update={"sha256": "as recorded"})
    records._save(record.model_copy(update={"output": claimed}), one)
    assert records.content(one).sha256 == "as recorded"
    one.write_text("new")
    assert records.content(one).sha256 == sha256("new")


def test_a_touched_file_is_hashed_by_its_first_reader_only(one: Path, tmp_path: Path) -> None:
    before = made(one).output
    os.utime(one, ns=(before.mtime_ns + 10**9, before.mtime_ns + 10**9))
    reader = tmp_path / "reader.csv"
    reader.write_text("")
    assert made(reader, one).inputs[0].sha256 == before.sha256
    assert records.read(one).output.mtime_ns == one.stat().st_mtime_ns == before.mtime_ns + 10**9


def test_a_changed_file_keeps_its_record(one: Path, tmp_path: Path) -> None:
    before = made(one)
    one.write_text("edited")
    reader = tmp_path / "reader.csv"
    reader.write_text("")
    assert made(reader, one).inputs[0].sha256 == sha256("edited")
    assert records.read(one) == before


def test_a_flipped_bit_in_a_record_is_seen(one: Path) -> None:
    """Of its checksum, and at 300 places."""
    made(one, environment=CATCH, seed=3)
    place = records.sidecar(one)
    whole = place.read_bytes()
    generator = np.random.default_rng(0)
    tries = [(index, index % 8) for index in range(150)]  # its checksum, and what is before it
    tries += [(int(generator.integers(len(whole))), int(generator.integers(8))) for _ in range(300)]
    for index, bit in tries:
        changed = bytearray(whole)
        changed[index] ^= 1 << bit
        place.write_bytes(changed)
        with pytest.raises(PipelineError) as caught:
            records.verify(one)
        said = str(caught.value)
        assert said.startswith(str(place)), (index, bit)
        assert said.endswith(f"make it again: snakemake --force {one}"), (index, bit)
    place.write_bytes(whole)
    records.verify(one)


def test_a_record_of_an_earlier_version_is_refused(one: Path) -> None:
    record = made(one)
    text = record.model_dump_json(exclude={"checksum"})
    records.sidecar(one).write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError, match=r"of an earlier version, without checksum; make it"):
        records.verify(one)


def artefact(path: Path, value: int, **attributes: object) -> Path:
    with ArtefactWriter(path, "cache", attributes) as writer:
        writer.write("a", np.full(5, value))
    return path


def test_an_artefact_swapped_for_another_is_refused(tmp_path: Path) -> None:
    """Of other attributes, and of other values alone; both are named, no block is read."""
    folder = tmp_path / "cache"
    ours = artefact(folder / "original.h5", 1, prompts="original")
    for name, value, prompts in (("synonym", 1, "synonym"), ("seed", 2, "original")):
        other = artefact(folder / f"{name}.h5", value, prompts=prompts)
        before = made(ours)
        made(other)
        whole = ours.read_bytes()
        ours.write_bytes(other.read_bytes())
        os.utime(ours, ns=(before.output.mtime_ns, before.output.mtime_ns))
        with pytest.raises(PipelineError) as caught:
            records.verify(ours)
        said = str(caught.value)
        assert said.startswith(f"{ours}: holds what {other} holds, not what render_frames wrote")
        assert said.endswith(f"make it again: snakemake --force {ours}")
        assert records.content(ours).digest == records.content(other).digest
        assert records.content(ours).digest != before.output.digest
        ours.write_bytes(whole)
        records.verify(ours)


def test_an_artefact_swapped_with_its_record_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pong/a.h5", "pong/b.h5", "qbert/a.h5"):
        made(artefact(Path("results", name), len(name)))
    ours = Path("results/pong/a.h5")
    for other in (Path("results/pong/b.h5"), Path("results/qbert/a.h5")):
        for one, two in ((other, ours), (records.sidecar(other), records.sidecar(ours))):
            two.write_bytes(one.read_bytes())
        with pytest.raises(PipelineError, match=f"the record of {other}, not of {ours}; make it"):
            records.verify(ours)
        records.verify(other)
    Path("results").rename("before")  # a project or its results may move
    records.verify(Path("before/pong/b.h5"))
    records.verify((tmp_path / "before" / "pong" / "b.h5").resolve())
    monkeypatch.chdir("before/pong")
    records.verify(Path("b.h5"))


def test_the_digest_is_told_without_reading_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = artefact(tmp_path / "a.h5", 1)
    made(path)
    monkeypatch.setattr(Artefact, "_decode", None)
    monkeypatch.setattr(checksum, "_sha256", None)
    records.verify(path)


def test_another_s_hdf5_is_read_through(tmp_path: Path) -> None:
    """It does not check itself."""
    path = tmp_path / "given.hdf5"
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(1000)
    assert made(path).output.digest is None
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(PipelineError, match="damaged, or changed since render_frames wrote it"):
        records.verify(path)


def test_errors_are_one_line_with_the_cure(one: Path, tmp_path: Path) -> None:
    cure = f"make it again: snakemake --force {one}"
    with pytest.raises(PipelineError) as caught:
        records.read(one)
    missing = "no record of how it was made (one.h5.provenance.json is missing)"
    assert str(caught.value) == f"{one}: {missing}; {cure}"
    records.sidecar(one).write_text("{}")
    with pytest.raises(PipelineError, match=r"one\.h5\.provenance\.json: not a record .*stage"):
        records.read(one)
    assert records.content(one).sha256 == sha256("one")
    with pytest.raises(PipelineError, match=r"none: cannot be read \(No such file"):
        measure(tmp_path / "none")
    records.sidecar(tmp_path / "two").mkdir()
    (tmp_path / "two").write_text("")
    with pytest.raises(PipelineError, match=r"two\.provenance\.json: cannot be written"):
        made(tmp_path / "two")
