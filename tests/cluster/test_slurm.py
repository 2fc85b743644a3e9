"""The toy workflow through a real Slurm: a failing job is submitted again, a killed one goes on."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import slurm_node

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(bool(slurm_node.missing()), reason=str(slurm_node.missing())),
]

ROOT = Path(__file__).parents[2]
COPIED = ("Snakefile", "rules", "config", "pipeline", "envs", "profiles", "resources", "report")
RUN = "results/runs/catch/behaviour_cloning/default/seed-0"
QUICK = ["--slurm-init-seconds-before-status-checks", "4", "--seconds-between-status-checks", "1"]
SMALL = "tables={table1: {methods: [behaviour_cloning], seeds: [0]}}"
LONG = "settings=[{training: {steps: 800, evaluate_every: 25}}]"


def copy_of_the_project(folder: Path) -> Path:
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def command(*arguments: str) -> list[str]:
    return [
        *(sys.executable, "-m", "snakemake", "--configfile", "config/toy.yaml"),
        *("--config", SMALL, LONG, "--", *arguments),
    ]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    with slurm_node.running(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


def training_job(environment: dict[str, str]) -> str | None:
    """The id of the running job of train_policy; its comment names the rule."""
    done = subprocess.run(
        ["squeue", "--noheader", "--states=R", "--format=%i %k"],
        env=environment,
        capture_output=True,
        text=True,
    )
    found = [line.split()[0] for line in done.stdout.splitlines() if "train_policy" in line]
    return found[0] if found else None


def test_the_toy_workflow_through_slurm(node: dict[str, str], tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path / "project")
    stage = project / "pipeline" / "stages" / "render_frames.py"
    fails_once = (
        "    import sys\n    from pathlib import Path\n"
        '    tried = Path("tried")\n'
        "    if not tried.exists():\n        tried.touch()\n        sys.exit(3)\n"
    )
    head, body = stage.read_text().split('    """', 1)
    docstring, rest = body.split("\n", 1)
    stage.write_text(f'{head}    """{docstring}\n{fails_once}{rest}')
    log = (tmp_path / "log").open("w")
    profile = ["--workflow-profile", "profiles/slurm", *QUICK]
    driver = subprocess.Popen(
        [*command("results/table1.csv")[:-2], *profile, "--", "results/table1.csv"],
        cwd=project,
        env=node,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    saved, killed = project / RUN / ".policy.safetensors.resume", None
    while driver.poll() is None:
        if killed is None and saved.exists():
            killed = training_job(node)
            if killed is not None:
                subprocess.run(["scancel", "--signal=KILL", killed], env=node, check=True)
        time.sleep(0.2)
    text = (tmp_path / "log").read_text()
    assert driver.returncode == 0, text
    assert (project / "tried").exists()
    assert killed is not None, text
    assert not saved.exists()
    table = pd.read_csv(project / "results" / "table1.csv", keep_default_na=False)
    assert table["method"].tolist() == ["random", "behaviour_cloning"]

    # The killed training, gone on with, is that of an undisturbed one, to the byte.
    policy = project / RUN / "policy.safetensors"
    resumed = policy.read_bytes()
    policy.unlink()
    here = command()[:-1]
    done = subprocess.run(
        [*here, "--cores", "2", "--", f"{RUN}/policy.safetensors"],
        cwd=project,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert policy.read_bytes() == resumed
