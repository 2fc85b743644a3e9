"""The toy workflow end to end, and what a change re-runs. One copy of the project, run once."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import browser
import pandas as pd
import pytest
import report_file
import yaml

from pipeline import records
from pipeline.config_files import observation_kind

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
COPIED = ("Snakefile", "rules", "config", "pipeline", "envs", "profiles", "resources", "report")
METHODS = ("more3s", "decision_transformer", "behaviour_cloning")
SEEDS = 2
ABLATED = ("synonym_prompts", "pretrained_gpt_alone")
"""Variants of MORE-3S, of one seed each."""
RUNS = len(METHODS) * SEEDS + len(ABLATED)
TABLES = ("table1", "table5", "figure3")


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in `folder` on two cores."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def planned(folder: Path, *targets: str, configfile: str = "config/toy.yaml") -> dict[str, int]:
    """Jobs that a run would start, by rule, except the aggregating target."""
    done = snakemake(folder, "--dry-run", *targets, "--configfile", configfile)
    assert done.returncode == 0, done.stdout
    table = done.stdout.partition("Job stats:")[2].partition("\n\n")[0]
    counts = dict(re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE))
    return {rule: int(count) for rule, count in counts.items() if rule not in {"total", "all"}}


def copy_project(folder: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which everything has been run."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    done = snakemake(folder, "--configfile", "config/toy.yaml")
    if done.returncode != 0:
        pytest.fail(done.stdout, pytrace=False)
    return folder


@pytest.fixture(scope="module")
def report(project: Path) -> Path:
    """The report of that run."""
    done = snakemake(project, "--report", "report.html", "--configfile", "config/toy.yaml")
    assert done.returncode == 0, done.stdout
    return project / "report.html"


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    """Edit a file, and put it back as it was, modification time included."""
    before, times = path.read_text(), path.stat()
    assert old in before
    path.write_text(before.replace(old, new, 1))
    yield
    path.write_text(before)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


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
            assert "rollout.mp4" in names


def test_the_table_has_a_row_per_method(project: Path) -> None:
    table = pd.read_csv(project / "results" / "table1.csv", keep_default_na=False)
    assert table["method"].tolist() == ["random", *METHODS]
    assert set(table["scale"]) == {"toy"}
    assert set(table["seeds"]) == {SEEDS}
    assert (table["data_source"] != "").all()
    scores = pd.read_csv(project / "results" / "scores" / "table1.csv")
    random = scores.loc[scores["method"] == "random", "return"].mean()
    assert table["random_score"].tolist() == pytest.approx([random] * len(table), abs=1e-4)


def test_nothing_is_done_twice(project: Path) -> None:
    assert planned(project) == {}


def explain(folder: Path, row: str, column: str) -> subprocess.CompletedProcess[str]:
    """Run `explain` on the table, in the folder of the project."""
    command = [sys.executable, "-m", "pipeline.stages.explain", "results/table1.csv", row, column]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_every_output_has_a_record(project: Path) -> None:
    results = project / "results"
    for path in results.rglob("*"):
        # A folder is one artefact: of an encoder, of checkpoints.
        within = path.parent.name == "checkpoints" or path.parents[2].name == "encoders"
        unrecorded = path.is_dir() or path.name.endswith(records.SUFFIX)
        if not unrecorded and path.relative_to(results).parts[0] not in {"logs", "benchmarks"}:
            assert records.sidecar(path.parent if within else path).is_file(), path
    played = records.read(results / "runs/catch/more3s/default/seed-1/episodes.csv")
    policy = records.read(results / "runs/catch/more3s/default/seed-1/policy.safetensors")
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
    chain = ["table", "scores", "episodes_csv", "policy", "observations", "encoder", "regions"]
    chain += ["frames", "trajectories"]
    options = re.findall(r"^ *(\w+): results/", done.stdout, flags=re.MULTILINE)
    assert options[: len(chain)] == chain
    assert "resources: resources/prompts/catch.yaml" in done.stdout
    checkpoint = records.read(project / "results/runs/catch/more3s/default/seed-0/curve.csv")
    code = checkpoint.code.sha256[:12]
    assert f"by train_policy, seed 0, 40 steps, {checkpoint.seconds:.1f} s, code {code}" in (
        done.stdout
    )
    for line in ("versions: python 3.11", "environment: catch 1", "host: cpu "):
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


def test_a_comment_or_a_docstring_runs_nothing(project: Path) -> None:
    stage = project / "pipeline" / "stages" / "detect_regions.py"
    with edited(stage, '"""Detect', "# A comment.\n\n" + '"""Really detect'):
        assert planned(project) == {}


def test_the_order_of_the_configuration_runs_nothing(project: Path) -> None:
    path = project / "config" / "toy.yaml"
    text = path.read_text()
    content = yaml.safe_load(text)
    reversed_text = yaml.safe_dump(dict(reversed(content.items())), sort_keys=False)
    with edited(path, text, reversed_text):
        assert planned(project) == {}


def test_other_hardware_runs_nothing(project: Path) -> None:
    hardware = "hardware={device: auto, processes: 2, save_every: 5}"
    assert planned(project, "--config", hardware) == {}


def test_training_code_keeps_the_cache(project: Path) -> None:
    with edited(project / "pipeline" / "training.py", "\n\n\n", "\n\nEDITED = 1\n\n\n"):
        jobs = planned(project)
    assert jobs["train_policy"] == RUNS
    assert jobs["evaluate_policy"] == RUNS
    assert jobs.keys() <= {
        *("train_policy", "evaluate_policy", "evaluate_checkpoints", "evaluate_random"),
        *("gather_scores", "tabulate", "plot_training_curves", "plot_performance_profiles"),
        *("sweep_target_return", "plot_target_sweeps", "draw_attention", "show_rollout"),
        *("render_table", "plot_costs", "list_runs"),
    }
    assert jobs["sweep_target_return"] < jobs["draw_attention"] == len(METHODS)  # of one seed


def test_a_model_touches_its_own_runs(project: Path) -> None:
    model = project / "pipeline" / "models" / "more3s.py"
    with edited(model, "\n\n\n", "\n\nEDITED = 1\n\n\n"):
        jobs = planned(project)
    assert jobs["train_policy"] == jobs["evaluate_policy"] == SEEDS + len(ABLATED)
    assert "build_cache" not in jobs


def test_the_detector_redoes_everything_after_it(project: Path) -> None:
    detector = project / "pipeline" / "detectors" / "fast_rcnn.py"
    with edited(detector, "\n\n\n", "\n\nEDITED = 1\n\n\n"):
        jobs = planned(project)
    seeing = [method for method in METHODS if observation_kind(method) == "embeddings"]
    # Ablations of prompts and of the encoder have the same regions.
    assert jobs["detect_regions"] == jobs["draw_regions"] == 1
    assert jobs["pretrain_encoder"] == jobs["build_cache"] == 1 + len(ABLATED)
    runs = len(seeing) * SEEDS + len(ABLATED)
    assert jobs["train_policy"] == jobs["evaluate_policy"] == runs
    assert not jobs.keys() & {"collect_trajectories", "render_frames", "write_prompts"}
    assert "shrink_frames" not in jobs


def test_a_setting_of_the_evaluation_does_not_train(project: Path) -> None:
    with edited(project / "config" / "toy.yaml", "episodes: 3", "episodes: 4"):
        jobs = planned(project)
    assert "train_policy" not in jobs
    assert jobs["evaluate_policy"] == RUNS
    assert jobs["evaluate_random"] == SEEDS


def test_a_setting_of_the_encoder_keeps_the_regions(project: Path) -> None:
    path = project / "config" / "features" / "toy.yaml"
    with edited(path, "pretraining_steps: 10", "pretraining_steps: 11"):
        jobs = planned(project)
    # Its own and those of the variant with other prompts; the variant without pretraining has none.
    assert jobs["pretrain_encoder"] == jobs["build_cache"] == 2
    assert jobs["train_policy"] == SEEDS + 1
    assert not jobs.keys() & {"detect_regions", "render_frames", "shrink_frames"}


AFTER_SCORES = {
    **{"gather_scores": 1, "tabulate": 1, "render_table": 1},
    **{"plot_training_curves": 1, "plot_performance_profiles": 1},
    **{"plot_costs": 1, "list_runs": 1},
}
"""What follows when the runs of one table change."""


def test_a_new_variant_is_exactly_its_own_jobs(project: Path) -> None:
    variant = project / "config" / "variants" / "calm.yaml"
    variant.write_text("policy:\n  dropout: 0\n")
    toy = project / "config" / "toy.yaml"
    with edited(toy, "[default, synonym_prompts]", "[default, synonym_prompts, calm]"):
        jobs = planned(project)
    variant.unlink()
    assert jobs == {"train_policy": 1, "evaluate_policy": 1, **AFTER_SCORES}


def test_a_deleted_score_is_played_again_and_nothing_trained(project: Path) -> None:
    run = project / "results" / "runs" / "catch" / "more3s" / "default" / "seed-1"
    kept = run / "kept.csv"
    (run / "episodes.csv").rename(kept)  # seed 1 is in table 1 alone
    jobs = planned(project)
    kept.rename(run / "episodes.csv")
    assert jobs == {"evaluate_policy": 1, **AFTER_SCORES}
    assert planned(project) == {}


def test_a_language_model_redoes_what_begins_with_it(project: Path) -> None:
    with edited(project / "config" / "language_models" / "toy.yaml", "steps: 10", "steps: 11"):
        jobs = planned(project)
    assert jobs["pretrain_language_model"] == 1
    assert jobs["train_policy"] == jobs["evaluate_policy"] == jobs["evaluate_checkpoints"] == 1
    assert not jobs.keys() & {"pretrain_encoder", "build_cache"}


def test_ablations_name_what_they_changed(project: Path) -> None:
    table = pd.read_csv(project / "results" / "table5.csv", keep_default_na=False)
    assert table["setting"].tolist() == ["Random", "original", "synonym"]
    figure = pd.read_csv(project / "results" / "figure3.csv", keep_default_na=False)
    assert figure["step"].tolist() == [20, 40, 20, 40]
    text = (project / "results" / "figure3.md").read_text()
    assert "language model of the documentation of Python" in text


def test_an_ablation_shares_the_cache(project: Path) -> None:
    with edited(project / "config" / "toy.yaml", "[default]", "[default, no_memory]"):
        jobs = planned(project)
    assert jobs["train_policy"] == len(METHODS) * SEEDS
    assert "build_cache" not in jobs


def test_the_table_is_enough_of_a_target(project: Path) -> None:
    jobs = planned(project, "results/table1.csv", configfile="config/config.yaml")
    config = yaml.safe_load((project / "config" / "config.yaml").read_text())
    table = config["tables"]["table1"]
    runs = len(table["datasets"]) * len(table["methods"]) * len(table["seeds"])
    assert jobs["train_policy"] == jobs["evaluate_policy"] == runs
    assert jobs["tabulate"] == 1


def test_the_demo_is_one_run(project: Path) -> None:
    jobs = planned(project, "demo", configfile="config/config.yaml")
    assert jobs.pop("demo") == 1
    assert set(jobs.values()) == {1}
    assert {"train_policy", "evaluate_policy", "draw_regions"} <= jobs.keys()
    assert "shrink_frames" not in jobs


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
    ("override", "expected"),
    [
        ("tables={table1: {datasets: [ctch]}}", "unknown dataset 'ctch' (did you mean 'catch'?)"),
        ("methods={more4s: {}}", "unknown method 'more4s' (did you mean 'more3s'?)"),
        ("defaults={training: {step: 3}}", "unknown key 'step' (did you mean 'steps'?)"),
    ],
)
def test_a_wrong_name_is_one_line_before_any_job(override: str, expected: str) -> None:
    done = snakemake(ROOT, "--dry-run", "--configfile", "config/toy.yaml", "--config", override)
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Using workflow")]
    assert len(lines) == 1
    assert lines[0].startswith("error: config/toy.yaml: ")
    assert expected in lines[0]
    assert "allowed: " in lines[0]


def made(folder: Path, pattern: str) -> dict[str, bytes]:
    """What the artefacts of a folder hold, by their paths below it; records have times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.glob(pattern)
        if path.is_file() and not path.name.endswith(records.SUFFIX)
    }


def test_any_number_of_cores_gives_the_same_bytes(project: Path, tmp_path: Path) -> None:
    """A second clean run of one policy and all before it, on 8 cores; and its training on 1."""
    copy_project(tmp_path)
    run = "results/runs/catch/more3s/default/seed-0"
    targets = [f"{run}/episodes.csv", "results/probe/catch/toy.csv"]
    for cores, again in (("8", []), ("1", ["train_policy", "evaluate_policy"])):
        force = ["--forcerun", *again] if again else []
        done = snakemake(
            tmp_path, *targets, *force, "--configfile", "config/toy.yaml", "--cores", cores
        )
        assert done.returncode == 0, done.stdout
        for kind, least in (("**/*.csv", 4), ("**/*.h5", 4), ("**/*.safetensors", 3)):
            second = made(tmp_path / "results", kind)
            assert len(second) >= least
            first = made(project / "results", kind)
            for name, content in second.items():
                assert content == first[name], f"{name} with --cores {cores}"


def test_a_failed_stage_shows_its_error(project: Path) -> None:
    with edited(project / "config" / "toy.yaml", "episodes: 3", "episodes: 5"):
        trajectories = project / "results" / "trajectories" / "catch.h5"
        kept, times = trajectories.read_bytes(), trajectories.stat()
        trajectories.write_bytes(b"damaged")
        os.utime(trajectories, ns=(times.st_atime_ns, times.st_mtime_ns))
        target = "results/runs/catch/random/default/seed-0/episodes.csv"
        done = snakemake(project, target, "--configfile", "config/toy.yaml")
        trajectories.write_bytes(kept)
        os.utime(trajectories, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert done.returncode != 0
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "catch.h5" in errors[0]
    assert "Traceback" not in done.stdout


def test_every_measured_stage_has_its_cost(project: Path) -> None:
    sources = "\n".join(path.read_text() for path in (project / "rules").glob("*.smk"))
    blocks = re.findall(r"^rule (\w+):\n((?:(?: .*)?\n)*)", sources, flags=re.MULTILINE)
    costs = pd.read_csv(project / "results" / "costs.csv")
    assert set(costs["stage"]) == {name for name, block in blocks if "    benchmark:" in block}
    assert costs.set_index("stage")["jobs"]["train_policy"] == RUNS
    assert (costs["total_seconds"] > 0).all()


def test_a_sweep_asks_for_every_target(project: Path) -> None:
    run = project / "results" / "runs" / "catch" / "more3s" / "default" / "seed-0"
    sweep = pd.read_csv(run / "target_sweep.csv")
    best = json.loads((run / "run.json").read_text())["data_max"]
    assert (sweep["target_return"] == sweep["factor"] * best).all()
    assert sweep.groupby("factor").size().tolist() == [5] * 5


def test_the_report_is_whole_and_loads_nothing(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    categories, results = (report_file.variable(html, n) for n in ("categories", "results"))
    assert sorted(categories) == list(report_file.SECTIONS)
    assert {p for s in categories.values() for paths in s.values() for p in paths} == set(results)
    for path, result in results.items():
        kind, content = report_file.decoded(result["data_uri"])
        assert kind == result["mime_type"], path
        assert content.startswith(report_file.BEGINS[kind]), path
        assert len(result["data_uri"]) < 2 * 2**20, f"{path}: a browser would not open it"
        assert len(result["caption"]) > 50, path
        assert "{{" not in result["caption"], path
        html += content.decode() if kind == "text/html" else ""
    addresses = report_file.loaded(html)
    assert sum(address.startswith("data:video/mp4") for address in addresses) == len(METHODS)
    for address in addresses:
        kind, content = report_file.decoded(address)
        assert kind == "video/mp4"
        assert content[4:8] == b"ftyp"


@pytest.mark.skipif(browser.PROGRAM is None, reason="no chromium and no google-chrome")
def test_the_report_opens_in_a_browser_without_a_network(report: Path, tmp_path: Path) -> None:
    results = report_file.variable(report.read_text(encoding="utf-8"), "results")
    with browser.opened(report, tmp_path) as page:
        text = page.wait("document.body.innerText")
        assert all(section in text for section in report_file.SECTIONS)
        page.wait("document.querySelector('#rulegraph canvas, #rulegraph svg') !== null")
        for path, result in results.items():
            view = "html" if result["mime_type"] == "text/html" else "img"
            uri = f"results[{json.dumps(path)}].data_uri"
            page.evaluate(f"app.setView({{content: '{view}', contentPath: {uri}}})")
            shown = f"[...document.images].find((image) => image.src === {uri})?.naturalWidth > 0"
            if view == "html":
                seen = "document.querySelector('td')?.innerText"
                if path.endswith("rollout.html"):
                    seen = (
                        "(v => v?.currentTime > 0 && v.videoWidth)(document.querySelector('video'))"
                    )
                shown = f"location.href.length === {len(result['data_uri'])} && {seen}"
            page.wait(shown, frame=view == "html")
            assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
        assert page.requests == [report.as_uri()]
