"""A bundle loads anywhere and plays what its evaluation played; what is wrong with it is a line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bundles import make_bundle
from safetensors.torch import load_file

import more3s
from pipeline.errors import PipelineError
from pipeline.evaluation import bundle

CASES = {
    "images and text": ("more3s", False),
    "pixels": ("decision_transformer", False),
    "states": ("decision_transformer", True),
}
SHOWN = {"images and text": "frame", "pixels": "frame", "states": "state"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes each bundle once."""
    known: dict[str, Path] = {}

    def of(case: str) -> Path:
        if case not in known:
            folder = tmp_path_factory.mktemp("made")
            known[case] = make_bundle(folder, *CASES[case])
        return known[case]

    return of


def played(agent: more3s.Agent, seed: int, **asked: float) -> tuple[float, int]:
    """Return and length of an episode, with the loop that the card shows."""
    env = agent.make()
    observation, _ = env.reset(seed=seed)
    agent.reset(seed=seed, **asked)
    total, length, reward, over = 0.0, 0, 0.0, False
    while not over:
        observation, reward, ended, cut, _ = env.step(agent.act(observation, reward))
        total, length, over = total + reward, length + 1, ended or cut
    return total, length


@pytest.mark.parametrize("case", CASES)
def test_an_episode_is_the_evaluations(
    made: Callable[[str], Path], case: str, tmp_path: Path
) -> None:
    """Elsewhere, with nothing beside it, from the same seeds; also the second time."""
    moved = Path(shutil.copytree(made(case), tmp_path / "elsewhere"))
    agent = more3s.load(moved)
    assert agent.observes == SHOWN[case]
    evaluated = pd.read_csv(made(case).parent / "episodes.csv")
    seeds = evaluated["reset_seed"].tolist()
    found = [played(agent, seed) for seed in [*seeds, seeds[0]]]
    expected = [*evaluated["return"], evaluated["return"][0]]
    # the evaluation's batch sums in another order than one episode alone
    assert [total for total, _ in found] == pytest.approx(expected, rel=1e-6)
    assert [length for _, length in found] == [*evaluated["length"], evaluated["length"][0]]
    assert evaluated["return"].nunique() > 1


def test_another_target_is_another_episode(made: Callable[[str], Path]) -> None:
    agent = more3s.load(made("pixels"))
    agent.reset(seed=1)
    env = agent.make()
    frame, _ = env.reset(seed=1)
    logits = []
    for target in (None, -50.0, None):
        agent.reset(target, seed=1)
        logits.append([agent.act(frame) for _ in range(20)])
    assert logits[0] == logits[2] != logits[1]


@pytest.mark.parametrize(
    ("case", "observation", "expected"),
    [
        (
            "pixels",
            np.zeros((84, 84, 3), np.uint8),
            "observes frame (40, 32, 3) uint8, RGB; it was given (84, 84, 3) uint8",
        ),
        ("pixels", np.zeros((40, 32, 3)), "it was given (40, 32, 3) float64"),
        ("pixels", {"state": np.zeros(3)}, "it was given a mapping of state"),
        ("pixels", np.zeros(3), "it was given an array (3,) float64"),
        ("states", np.zeros(3), "observes state (11,) float32; it was given (3,) float32"),
        ("states", np.zeros((4, 4, 3), np.uint8), "it was given an array (4, 4, 3) uint8"),
        ("states", np.full(11, np.nan), "the state vector holds NaN"),
        ("states", None, "observes state (11,) float32; it was given an array () object"),
    ],
)
def test_what_is_wrong_with_an_observation(
    made: Callable[[str], Path], case: str, observation: Any, expected: str
) -> None:
    agent = more3s.load(made(case))
    with pytest.raises(PipelineError) as caught:
        agent.act(observation)
    assert expected in str(caught.value)


def test_a_reward_before_the_first_action(made: Callable[[str], Path]) -> None:
    agent = more3s.load(made("states"))
    with pytest.raises(PipelineError, match="before the first action"):
        agent.act(np.zeros(11), 1.0)
    agent.act(np.zeros(11))
    with pytest.raises(PipelineError, match="reward nan"):
        agent.act(np.zeros(11), float("nan"))


def test_the_card_says_what_it_is(made: Callable[[str], Path]) -> None:
    card = (made("images and text") / "README.md").read_text()
    evaluated = pd.read_csv(made("images and text").parent / "episodes.csv")["return"]
    assert f"| this policy | {evaluated.mean():.1f} | [" in card
    for part in ("license: mit", "more3s on catch", "seed 4", "`toy`", "fast_rcnn random"):
        assert part in card
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace("path/to/this/folder", str(made("images and text")))
    exec(code, found := {})
    assert found["over"]


def test_published_weights_become_safetensors(made: Callable[[str], Path], tmp_path: Path) -> None:
    """Whatever they were published as, and with nothing but their tensors."""
    weights = {"conv.weight": torch.arange(6.0).reshape(2, 3).T, "bias": torch.ones(2)}
    (tmp_path / "published").mkdir()
    torch.save({"model": weights, "epoch": 3}, tmp_path / "published" / "model.pth")
    folder = made("pixels")
    parts = bundle.Parts(folder / bundle.POLICY, weights=tmp_path / "published")
    bundle.write(tmp_path / "new", bundle.read(folder), parts, "A card.")
    held = bundle.read(tmp_path / "new").files
    assert set(held) == {"policy.safetensors", "detector/model.safetensors"}
    kept = load_file(tmp_path / "new" / "detector" / "model.safetensors")
    assert kept.keys() == weights.keys()
    assert all(torch.equal(kept[name], weights[name]) for name in kept)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def named(path: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Change the files that a manifest names."""
    edit(path, files=change(json.loads(path.read_text())["files"]))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda folder: (folder / "bundle.json").unlink(), r"bundle\.json: missing"),
    "no JSON": (lambda folder: (folder / "bundle.json").write_text("{"), "not the content of"),
    "no method": (
        lambda folder: edit(folder / "bundle.json", method={"method": "os"}),
        "unknown method 'os'",
    ),
    "another key": (lambda folder: edit(folder / "bundle.json", code="x"), "unknown key 'code'"),
    "missing file": (lambda folder: (folder / "prompts.json").unlink(), r"prompts\.json: missing"),
    "damaged file": (
        lambda folder: (folder / "encoder/vocab.txt").write_text("x"),
        r"vocab\.txt: damaged",
    ),
    "code beside the encoder": (
        lambda folder: (folder / "encoder/modeling.py").write_text("x"),
        r"modeling\.py: bundle\.json does not name it",
    ),
    "code in the manifest": (
        lambda folder: named(folder / "bundle.json", lambda f: {**f, "encoder/m.py": "0" * 64}),
        r"encoder/m\.py is no file of a bundle",
    ),
    "a path out of it": (
        lambda folder: named(folder / "bundle.json", lambda f: {**f, "encoder/../x.txt": "0" * 64}),
        "is no file of a bundle",
    ),
    "no policy": (
        lambda folder: named(
            folder / "bundle.json", lambda f: {k: v for k, v in f.items() if "policy" not in k}
        ),
        r"names no policy\.safetensors",
    ),
    "another encoder": (
        lambda folder: edit(
            folder / "bundle.json",
            features=json.loads((folder / "bundle.json").read_text())["features"]
            | {"encoder": {"name": "../lxmert", "width": 16}},
        ),
        "trained on other features|unknown encoder",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(made: Callable[[str], Path], fault: str, tmp_path: Path) -> None:
    spoil, expected = FAULTS[fault]
    folder = Path(shutil.copytree(made("images and text"), tmp_path / "bundle"))
    spoil(folder)
    with pytest.raises(PipelineError, match=expected):
        more3s.load(folder)
