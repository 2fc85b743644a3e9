"""The same seeds give the same bytes, in any folder and with any number of cores."""

from collections.abc import Mapping
from pathlib import Path

from toy_project import EMPTY, copy_project, snakemake

from pipeline.provenance import record


def made(folder: Path, pattern: str) -> dict[str, bytes]:
    """What the artefacts of a folder hold, by their paths below it; records have times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.glob(pattern)
        if path.is_file() and not path.name.endswith(record.SUFFIX)
    }


def test_any_number_of_cores_gives_the_same_bytes(
    project: Path, tmp_path: Path, warm: Mapping[str, str]
) -> None:
    """A second clean run of one policy and all before it, on 8 cores, each job a process of its own
    where the first run's were forks; and its training on 1.
    """
    copy_project(tmp_path)
    run = "results/runs/catch/more3s/default/seed-0"
    targets = [f"{run}/episodes.csv", "results/probe/catch/toy.csv"]
    trained = ["train_policy", "evaluate_policy"]
    for cores, again, forks in (("8", [], EMPTY), ("1", trained, warm)):
        force = ["--forcerun", *again] if again else []
        done = snakemake(
            tmp_path,
            *(*targets, *force, "--configfile", "config/toy.yaml", "--cores", cores),
            warm=forks,
        )
        assert done.returncode == 0, done.stdout
        for kind, least in (("**/*.csv", 4), ("**/*.h5", 4), ("**/*.safetensors", 3)):
            second = made(tmp_path / "results", kind)
            assert len(second) >= least
            first = made(project / "results", kind)
            for name, content in second.items():
                assert content == first[name], f"{name} with --cores {cores}"
