"""`more3s init` lays the workflow into a folder, whole or not at all."""

import ast
import re
from pathlib import Path

import pytest

from more3s import workflow_files
from more3s.command import command

ROOT = Path(__file__).parents[3]


def test_what_a_clone_has_is_laid_into_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "workflow"
    command(["init", str(target)])
    assert f"cd {target}" in capsys.readouterr().out
    for name in ("Snakefile", "config/config.yaml", "rules/common.smk", "pipeline/errors.py"):
        assert (target / name).read_bytes() == (ROOT / name).read_bytes()
    assert not list(target.rglob("__pycache__"))


def test_downloaded_data_are_left_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    for name in workflow_files.NAMES:
        (clone / name).mkdir(parents=True)
    for name in ("d4rl/big.hdf5", "dqn_replay/Pong/1", "minari/atari", "prompts/pong.yaml"):
        (clone / "resources" / name).mkdir(parents=True)
    monkeypatch.setattr(workflow_files, "folder", lambda: clone)
    workflow_files.init(tmp_path / "new")
    assert [path.name for path in (tmp_path / "new/resources").iterdir()] == ["prompts"]
    assert 'ignore_patterns("d4rl", "dqn_replay", "minari")' in (ROOT / "setup.py").read_text()


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("step,accuracy\n1,0.5\n")
    pytest.importorskip("torch.utils.tensorboard")
    with pytest.raises(SystemExit, match=r"error: .*/proc/nope"):
        command(["tensorboard", str(tmp_path), "/proc/nope"])


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    with pytest.raises(SystemExit, match=r"config: exists already; name another folder"):
        command(["init", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["config"]
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"file: .*; name another folder"):
        command(["init", str(tmp_path / "file")])


def test_a_wheel_brings_all_that_the_snakefile_reads() -> None:
    """The build has a list of its own, since it runs before the package can be imported."""
    names = next(
        ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "setup.py").read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "WORKFLOW"
    )
    assert names == workflow_files.NAMES
    packed = re.findall(r"^(?:include|graft) (\S+)$", (ROOT / "MANIFEST.in").read_text(), re.M)
    assert set(packed) == set(names)
