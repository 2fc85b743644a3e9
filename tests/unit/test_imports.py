"""Imports go from a room only to earlier rooms and leaves; the driver imports no torch."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.provenance import first_party_imports

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("errors", "plugins", "provenance", "validation", "config_data", "config", "published"),
    *("experiment", "config_files", "retrieval", "array_pickle", "weights"),
    *("actions", "area", "atomic", "block_cache", "storage", "parallel", "devices"),
    *("disk", "moments", "overlap", "shards", "parts"),
    *("environments", "trajectories", "frames", "minari_export", "prompts"),
    *("detectors", "regions", "encoders", "step_encoder", "cache", "probe", "plan"),
    *("windows", "observations", "models", "batches", "resumption", "checkpoints", "optimisation"),
    *("held_out", "texts", "tokenizer", "language_model", "gpt2", "training"),
    *("csv_files", "episodes", "evaluation", "rollout_video", "runs", "target_sweep"),
    *("statistics", "aggregates", "figures", "literature", "scores", "tables"),
    *("report", "records", "stages"),
)
"""In the order the data flows. A new room or module gets its place here."""
HEAVY = {
    "torch",
    "transformers",
    "h5py",
    "requests",
    "gymnasium",
    "ale_py",
    "matplotlib",
    "pandas",
    "scipy",
}
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "pipeline").rglob("*.py")
)


def room(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("module", [name for name in MODULES if name != "pipeline"])
def test_imports_go_to_earlier_rooms(module: str) -> None:
    for imported in first_party_imports(module) - {"pipeline"}:
        earlier = ROOMS.index(room(imported)) <= ROOMS.index(room(module))
        assert earlier, f"{module} imports {imported}, which comes later in the data's flow"


def test_the_driver_imports_nothing_heavy() -> None:
    sources = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    text = "\n".join(path.read_text() for path in sources)
    modules = sorted(set(re.findall(r"^(?:from|import) (pipeline\S*)", text, flags=re.MULTILINE)))
    assert "pipeline.config_files" in modules
    code = (
        f"import sys, {', '.join(modules)}\n"
        "from pathlib import Path\n"
        "config = pipeline.config_files.load(Path('config/config.yaml'))\n"
        "pipeline.provenance.source_digest('pipeline.stages.train_policy')\n"
        f"print(*({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
