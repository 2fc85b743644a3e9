"""Records beside every output, and the way from a table's cell back to the data."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from toy_project import SEEDS, edited, explain

from pipeline.provenance import record


def test_every_output_has_a_record(project: Path) -> None:
    results = project / "results"
    for path in results.rglob("*"):
        # A folder is one artefact: an encoder, checkpoints, a bundle.
        own = [path, *(folder for folder in path.parents if folder.is_relative_to(results))]
        unrecorded = path.is_dir() or path.name.endswith(record.SUFFIX)
        if not unrecorded and path.relative_to(results).parts[0] not in {"logs", "benchmarks"}:
            assert any(record.sidecar(each).is_file() for each in own), path
    played = record.read(results / "runs/catch/more3s/default/seed-1/episodes.csv")
    policy = record.read(results / "runs/catch/more3s/default/seed-1/policy.safetensors")
    assert [read.option for read in played.inputs] == [
        *("policy", "encoder", "prompts", "trajectories")
    ]
    assert played.inputs[0].sha256 == policy.output.sha256
    assert (policy.seeds["seed"], policy.environment) == (1, {"catch": "1"})
    assert not {path.name for path in results.rglob(".partial*")}


def test_a_cell_is_followed_to_the_first_data(project: Path) -> None:
    table = pd.read_csv(project / "results" / "table1.csv", dtype=str)
    for row, method in enumerate(table["method"]):
        done = explain(project, str(row), "mean")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        place = f"catch/{method}/default"
        value = table.at[row, "mean"]
        assert lines[0] == f"results/table1.csv, row {row} ({place}), mean: {value}"
        assert lines[1] == "recomputed from the episodes as they are now: the same"
        means = re.findall(r"seed \d: mean (\S+) of 3 episodes, results/runs/(\S+)", done.stdout)
        assert [path for _, path in means] == [
            f"{place}/seed-{seed}/episodes.csv" for seed in range(SEEDS)
        ]
        assert sum(float(mean) for mean, _ in means) / SEEDS == pytest.approx(
            float(value), abs=1e-4
        )
        runs = set(re.findall(r"results/runs/(\w+/\w+/\w+)/", done.stdout))
        assert runs == {place}


def test_the_chain_names_each_link(project: Path) -> None:
    done = explain(project, "catch/more3s", "iqm")
    chain = ["table", "scores", "episodes", "policy", "observations", "encoder", "regions"]
    chain += ["frames", "trajectories"]
    options = re.findall(r"^ *(\w+): results/", done.stdout, flags=re.MULTILINE)
    assert options[: len(chain)] == chain
    assert "resources: resources/prompts/catch.yaml" in done.stdout
    checkpoint = record.read(project / "results/runs/catch/more3s/default/seed-0/curve.csv")
    code = checkpoint.code.sha256[:12]
    assert f"by train_policy, seed 0, 40 steps, {checkpoint.seconds:.1f} s, code {code}" in (
        done.stdout
    )
    version = f"versions: python {sys.version_info.major}.{sys.version_info.minor}"
    for line in (version, "environment: catch 1", "host: cpu "):
        assert done.stdout.count(line) == 1, line


def test_another_column_of_the_row(project: Path) -> None:
    random = explain(project, "catch/more3s", "random_score").stdout
    assert set(re.findall(r"results/runs/catch/(\w+)/", random)) == {"random"}
    weights = explain(project, "catch/more3s", "weights")
    assert weights.returncode == 0
    assert "mean " not in weights.stdout


def test_what_has_changed_behind_a_cell_is_flagged(project: Path) -> None:
    results = project / "results"
    run = results / "runs/catch/more3s/default/seed-0"
    with edited(run / "episodes.csv", "\n40,0,", "\n40,0,7"):
        done = explain(project, "catch/more3s", "mean")
    assert done.returncode == 1
    assert "!! changed since it was read by gather_scores, when it was" in done.stdout
    assert "!! changed since it was written by evaluate_policy" in done.stdout
    wording = project / "resources/prompts/catch.yaml"
    with edited(wording, wording.read_text(), wording.read_text() + "# more\n"):
        done = explain(project, "catch/more3s", "mean")
    assert done.returncode == 1
    assert "!! changed since it was read by write_prompts" in done.stdout
    with edited(run / "episodes.csv", "\n40,0,", "\n40,0,7"):
        assert explain(project, "catch/decision_transformer", "mean").returncode == 0
    assert explain(project, "catch/more3s", "mean").returncode == 0


def test_a_return_that_has_changed_gives_another_value(project: Path) -> None:
    path = project / "results/runs/catch/more3s/default/seed-0/episodes.csv"
    episodes = pd.read_csv(path)
    episodes["return"] += 3
    with edited(path, path.read_text(), episodes.to_csv(index=False)):
        lines = explain(project, "catch/more3s", "mean").stdout.splitlines()
    value = float(lines[0].rpartition(": ")[2])
    assert lines[1] == f"!! recomputed from the episodes as they are now: {value + 1.5:.4f}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("results/frames/catch.h5", "missing; make it again: snakemake --force results/frames/"),
        ("results/frames/catch.h5.provenance.json", "no record of how it was made (catch.h5.prov"),
        ("resources/prompts/catch.yaml", "missing; put the file back"),
        ("results/runs/catch/more3s/default/seed-0/episodes.csv", "missing; make it again"),
    ],
)
def test_what_is_missing_behind_a_cell_is_flagged(project: Path, name: str, expected: str) -> None:
    aside = project / "aside"
    (project / name).rename(aside)
    done = explain(project, "catch/more3s", "mean")
    aside.rename(project / name)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"!! {expected}" in done.stdout
