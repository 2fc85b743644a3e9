"""Every text file of ours is UTF-8, whatever the locale says."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config.load import load

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "pipeline").rglob("*.py"))
TEXT = ("read_text", "write_text", "read_csv", "to_csv", "NamedTemporaryFile")
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


WORD = "hinüber → ←"


def faults(tree: ast.AST) -> list[str]:
    """Calls that read or write text in the locale's encoding."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = {each.arg: each.value for each in node.keywords}
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        modes = [given.get("mode"), *node.args]
        words = [each.value for each in modes if isinstance(each, ast.Constant)]
        texts = [word for word in words if isinstance(word, str)]
        binary = any("b" in word for word in texts)
        if name == "open":  # of a path, or Python's own; those of libraries are given a file
            text = isinstance(node.func, ast.Name) or not node.args or bool(texts and words)
            text = text and not binary and not ast.unparse(node.func).startswith(("av.", "os."))
        elif name == "to_csv":  # without a file it returns a string
            text = bool(node.args)
        elif name == "read_csv" and isinstance(node.func, ast.Name):  # our own
            text = False
        else:
            text = name in TEXT and not binary
            process = ast.unparse(node.func).startswith("subprocess.")
            text = text or (process and bool({"text", "universal_newlines"} & given.keys()))
        if text and "encoding" not in given and None not in given:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_is_read_and_written_as_utf8(path: Path) -> None:
    assert faults(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    [
        *("open(path)", "open(path, 'w')", "path.open()", "path.open('w', newline='')"),
        *("path.read_text()", "path.write_text('a')", "pd.read_csv(path)", "rows.to_csv(path)"),
        *("subprocess.run(words, text=True)", "NamedTemporaryFile('w')"),
    ],
)
def test_what_would_be_found(code: str) -> None:
    assert faults(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    ["open(path, 'rb')", "path.open('wb')", "path.read_text(encoding='utf-8')", "a.to_csv()"],
)
def test_what_would_not(code: str) -> None:
    assert faults(ast.parse(code)) == []


def run(stage: str, *words: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", f"pipeline.stages.{stage}", *words]
    env = {**os.environ, **C_LOCALE, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, env=env, cwd=ROOT)


def test_stages_in_a_locale_that_is_not_utf8(tmp_path: Path) -> None:
    """Data, prompts and a picture's help, all with letters beyond ASCII."""
    config = load(ROOT / "config" / "toy.yaml")
    resources = tmp_path / "resources"
    (resources / "prompts").mkdir(parents=True)
    wording = (ROOT / "resources" / "prompts" / "catch.yaml").read_text(encoding="utf-8")
    wording = wording.replace("left", WORD)
    (resources / "prompts" / "catch.yaml").write_text(wording, encoding="utf-8")
    told = ["--environment", config.environment("catch").as_json()]
    data = tmp_path / "trajectories.h5"
    done = run(
        "collect_trajectories",
        *("--dataset", config.datasets["catch"].as_json(), *told),
        *("--resources", str(ROOT / "resources"), "--trajectories", str(data)),
    )
    assert done.returncode == 0, done.stderr
    prompts = tmp_path / "prompts.json"
    done = run(
        "write_prompts",
        *("--prompt-set", "original", *told, "--trajectories", str(data)),
        *("--resources", str(resources), "--prompts", str(prompts)),
    )
    assert done.returncode == 0, done.stderr
    sentences = json.loads(prompts.read_text(encoding="utf-8"))["sentences"]
    assert any(WORD in sentence for sentence in sentences)
    assert b"Traceback" not in done.stderr
    for stage in ("plot_perplexity", "explain", "collect_trajectories"):
        done = run(stage, "--help")
        assert done.returncode == 0, done.stderr
