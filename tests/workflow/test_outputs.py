"""The toy workflow end to end: what is there, and errors before and in jobs."""

import os
from pathlib import Path

import pandas as pd
import pytest
from toy_project import METHODS, ROOT, SEEDS, TABLES, snakemake


def test_every_output_is_there(project: Path) -> None:
    results = project / "results"
    for name in (
        "trajectories/catch.h5",
        "frames/catch.h5",
        "prompts/catch/original.json",
        "pixels/catch.h5",
        "regions/catch/toy.h5",
        "regions/catch/toy.png",
        "encoders/catch/toy.csv",
        "cache/catch/toy.h5",
        "probe/catch/toy.csv",
        "language_models/toy.safetensors",
        "language_models/toy.csv",
        "language_models/toy.png",
        *(f"{table}.csv" for table in TABLES),
        *(f"{table}.md" for table in TABLES),
        *(f"across_games/{table}.csv" for table in TABLES),
        *(f"learning_curves/{table}.png" for table in TABLES),
        *(f"performance_profiles/{table}.png" for table in TABLES),
        "target_sweeps/catch.png",
        "costs.csv",
    ):
        assert (results / name).stat().st_size > 0, name
    for method in METHODS:
        for seed in range(SEEDS):
            run = results / "runs" / "catch" / method / "default" / f"seed-{seed}"
            names = {path.name for path in run.iterdir()}
            assert names >= {"policy.safetensors", "curve.csv", "episodes.csv", "run.json"}
            assert ("rollout.mp4" in names) == (seed == 0)  # of one seed


def test_the_table_has_a_row_per_method(project: Path) -> None:
    table = pd.read_csv(project / "results" / "table1.csv", keep_default_na=False)
    assert table["method"].tolist() == ["random", *METHODS]
    assert set(table["scale"]) == {"toy"}
    assert set(table["seeds"]) == {SEEDS}
    assert (table["data_source"] != "").all()
    scores = pd.read_csv(project / "results" / "scores" / "table1.csv")
    random = scores.loc[scores["method"] == "random", "return"].mean()
    assert table["random_score"].tolist() == pytest.approx([random] * len(table), abs=1e-4)


def test_ablations_name_what_they_changed(project: Path) -> None:
    table = pd.read_csv(project / "results" / "table5.csv", keep_default_na=False)
    assert table["setting"].tolist() == ["Random", "original", "synonym"]
    figure = pd.read_csv(project / "results" / "figure3.csv", keep_default_na=False)
    assert figure["step"].tolist() == [20, 40, 20, 40]
    text = (project / "results" / "figure3.md").read_text()
    assert "language model of the documentation of Python" in text


def test_numerical_libraries_have_one_thread(project: Path) -> None:
    """Snakemake would tell them the number of slots, which `--cores 8` on two CPUs overbooks."""
    (project / "Threads.smk").write_text(
        'include: "rules/common.smk"\n'
        "rule show:\n"
        '    output: "threads.txt"\n'
        "    threads: 4\n"
        '    shell: "echo $OMP_NUM_THREADS $OPENBLAS_NUM_THREADS $MKL_NUM_THREADS > {output}"\n'
    )
    done = snakemake(project, "--snakefile", "Threads.smk", "--cores", "8", "show")
    assert done.returncode == 0, done.stdout
    assert (project / "threads.txt").read_text().split() == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("override", "place", "expected"),
    [
        (
            "tables={table1: {datasets: [ctch]}}",
            "--config: tables.table1",  # which says so, not the file that it is laid over
            "unknown dataset 'ctch' (did you mean 'catch'?)",
        ),
        (
            "settings=[{where: {method: more4s}}]",
            "--config: settings[0].where",
            "unknown method 'more4s' (did you mean 'more3s'?)",
        ),
        (
            "settings=[{training: {step: 3}}]",
            "--config: settings[0]",
            "unknown key 'step' (did you mean 'steps'?)",
        ),
    ],
)
def test_a_wrong_name_is_one_line_before_any_job(override: str, place: str, expected: str) -> None:
    done = snakemake(ROOT, "--dry-run", "--configfile", "config/toy.yaml", "--config", override)
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Using workflow")]
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {place}: ")
    assert expected in lines[0]
    assert "allowed: " in lines[0]


def test_a_failed_stage_shows_its_error(project: Path) -> None:
    trajectories = project / "results" / "trajectories" / "catch.h5"
    kept, times = trajectories.read_bytes(), trajectories.stat()
    trajectories.write_bytes(b"damaged")
    os.utime(trajectories, ns=(times.st_atime_ns, times.st_mtime_ns))
    beside_the_grid = "results/runs/catch/random/default/seed-7/episodes.csv"
    done = snakemake(project, beside_the_grid, "--configfile", "config/toy.yaml")
    trajectories.write_bytes(kept)
    os.utime(trajectories, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert done.returncode != 0
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "catch.h5" in errors[0]
    assert "Traceback" not in done.stdout
