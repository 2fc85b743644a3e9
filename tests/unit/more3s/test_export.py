"""An exported step acts as the policy does, for longer than it remembers, and from a new start."""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bundles import make_bundle
from policies import acted, batch_of, method_config, moment_of, policy_of, spec_of
from torch import Tensor

import more3s
from more3s.command import command
from more3s.export import MEMORY, ActingStep, write
from pipeline.errors import PipelineError
from pipeline.methods import Moment, make

EPISODES, STEPS, SCALE = 3, 9, 4.0
Step = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def step_of(method: str, **policy: Any) -> tuple[Any, ActingStep]:
    learner = policy_of(method, **policy)
    shape = {name: size for name, size in learner.spec.shape.items() if name != "pooled"}
    return learner, ActingStep(learner, shape, SCALE)


def onnx_step(path: Path) -> tuple[Step, dict[str, str]]:
    """As a program without torch runs it."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path)
    assert all("episodes" in each.shape for each in (*session.get_inputs(), *session.get_outputs()))
    names = [output.name for output in session.get_outputs()]

    def run(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        found = session.run(None, {name: each.numpy() for name, each in inputs.items()})
        return {name: torch.from_numpy(each) for name, each in zip(names, found, strict=True)}

    return run, dict(session.get_modelmeta().custom_metadata_map)


def pt2_step(path: Path) -> tuple[Step, dict[str, str]]:
    files = {"step.json": ""}
    run: Step = torch.export.load(path, extra_files=files).module()
    return run, json.loads(files["step.json"])


def inputs_of(moment: Moment, step: ActingStep) -> dict[str, Tensor]:
    """What the step may ask for beside its memory, as the game tells it."""
    known = {
        **{name: each[:, 0] for name, each in moment.observation.items()},
        "previous_action": moment.previous_action[:, 0],
        "return_to_go": moment.return_to_go[:, 0] * SCALE,
        "timestep": moment.timestep[:, 0],
    }
    return {name: known[name] for name in step.start if name in known}


def memory_of(step: ActingStep) -> dict[str, Tensor]:
    """Before the first step it holds whatever it may."""
    memory = {name: step.start[name] for name in MEMORY if name in step.start}
    return {name: x.repeat_interleave(EPISODES, dim=1) + 9 for name, x in memory.items()}


def spied(agent: more3s.Agent) -> tuple[list[Moment], list[Tensor]]:
    """The moments that the agent's policy will have met, and what it made of them."""
    policy, moments, decided = agent._loaded.policy, list[Moment](), list[Tensor]()
    act = policy.act

    def spy(moment: Moment, state: Any) -> Any:
        found = act(moment, state)
        moments.append(moment)
        decided.append(found[0])
        return found

    policy.act = spy  # type: ignore[method-assign]
    return moments, decided


@pytest.mark.parametrize(
    ("method", "ending", "asked"),
    [
        ("more3s", "onnx", "tokens mask return_to_go timestep keys values"),
        (
            *("decision_transformer", "onnx"),
            "frames previous_action return_to_go timestep keys values",
        ),
        ("behaviour_cloning on states", "pt2", "state previous_action timestep keys values"),
    ],
)
def test_a_file_acts_as_the_policy(method: str, ending: str, asked: str, tmp_path: Path) -> None:
    if ending == "onnx":
        pytest.importorskip("onnxscript")
    learner, step = step_of(method, layers=1 if method != "more3s" else 2)  # a layer costs seconds
    path = tmp_path / f"step.{ending}"
    shapes = write(path, step, {"method": method})
    assert list(shapes) == asked.split()
    run, told = (onnx_step if ending == "onnx" else pt2_step)(path)
    assert told == {"method": method}
    acts_alike(method, learner, step, lambda inputs: run({name: inputs[name] for name in shapes}))


@pytest.mark.parametrize(
    ("method", "policy"),
    [
        ("decision_transformer on states", {"time_embedding": "learned"}),
        ("more3s on images and states", {"return_conditioning": "token"}),
        ("more3s", {"context_length": 1, "memory_length": 0}),
    ],
)
def test_a_step_acts_as_the_policy(method: str, policy: dict[str, Any]) -> None:
    """Before it is a file, which takes seconds."""
    learner, step = step_of(method, **policy)
    acts_alike(method, learner, step, step)


def test_a_step_without_memory() -> None:
    config = method_config("upside_down", observation="pixels")
    learner = make(config, spec_of("decision_transformer")).eval()
    step = ActingStep(learner, learner.spec.shape, SCALE)
    assert list(step.asked()) == ["frames", "return_to_go", "timestep"]
    acts_alike("decision_transformer", learner, step, step)


def acts_alike(method: str, learner: Any, step: ActingStep, run: Step) -> None:
    """Through an episode in which some is forgotten, and again from its start."""
    batch, memory = batch_of(method, EPISODES, STEPS), memory_of(step)
    expected = [*acted(learner, batch)]
    assert step.memory is None or step.memory.span < STEPS / 2
    for t in [*range(STEPS), 0, 1]:
        with torch.no_grad():
            found = run({**inputs_of(moment_of(batch, t), step), **memory})
        memory = {name: found[f"next_{name}"] for name in memory}
        decided = found["action" if " on " in method else "logits"]
        torch.testing.assert_close(decided, expected[t], atol=1e-5, rtol=1e-5)
        assert (decided.argmax(dim=-1) == expected[t].argmax(dim=-1)).all()


def test_episodes_may_be_at_different_times() -> None:
    learner, step = step_of("decision_transformer")
    batch = batch_of("decision_transformer", EPISODES, STEPS)
    expected, memory = [*acted(learner, batch)], memory_of(step)
    late = [0, 2, 4]  # steps that each episode begins after the first one
    for now in range(STEPS):
        at = [max(0, now - each) for each in late]
        each = [inputs_of(moment_of(batch, t), step) for t in at]
        mixed = {name: torch.stack([x[name][i] for i, x in enumerate(each)]) for name in each[0]}
        with torch.no_grad():
            found = step({**mixed, **memory})
        memory = {name: found[f"next_{name}"] for name in memory}
        for row, t in enumerate(at):
            torch.testing.assert_close(found["logits"][row], expected[t][row])


def test_a_bundle_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What its observer gives a live policy fits, and the actions are the agent's."""
    bundle, path = make_bundle(tmp_path, "more3s"), tmp_path / "step.pt2"
    command(["export", str(bundle), str(path)])
    printed = (line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:])
    shapes = {name: ast.literal_eval(shape) for name, shape in printed}
    assert set(shapes) == {"tokens", "mask", "return_to_go", "timestep", *MEMORY}
    run, told = pt2_step(path)
    assert json.loads(told["actions"]) == ["NOOP", "RIGHT", "LEFT"]
    agent = more3s.load(bundle)
    assert float(told["target_return"]) == agent.bundle.target_return
    moments, decided = spied(agent)
    env = agent.make()
    frame, _ = env.reset(seed=3)
    agent.reset(40.0, seed=3)
    memory = {name: torch.zeros(shapes[name]) for name in MEMORY}
    reward, left = 0.0, 40.0
    for t in range(8):
        left -= reward
        frame, reward, *_ = env.step(agent.act(frame, reward))
        seen = {name: each[:, 0] for name, each in moments[t].observation.items()}
        told_now = {"return_to_go": torch.tensor([left]), "timestep": torch.tensor([t])}
        found = run({**seen, **told_now, **memory})
        memory = {name: found[f"next_{name}"] for name in memory}
        torch.testing.assert_close(found["logits"], decided[t], atol=1e-5, rtol=1e-5)


def test_what_cannot_be_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match="starformer: its acting step cannot be exported: it "):
        step_of("starformer")
    plans = {"world_model": {"trained": True}, "planner": {"horizon": 1}}
    with pytest.raises(PipelineError, match="more3s: its acting step cannot be exported: it plans"):
        step_of("more3s", **plans)
    _, step = step_of("decision_transformer on states")
    with pytest.raises(PipelineError, match=r"step.txt: name a file that ends in .onnx or .pt2"):
        write(tmp_path / "step.txt", step, {})
    monkeypatch.setattr(step.learner, "act", lambda moment, state: (moment.noise(1), state))
    with pytest.raises(PipelineError, match=r"decision_transformer: .*: it draws random numbers"):
        write(tmp_path / "step.pt2", step, {})
    monkeypatch.setattr("more3s.export.find_spec", lambda name: None)
    with pytest.raises(PipelineError, match=r"onnx: not installed; run pip install 'more3s\[expo"):
        write(tmp_path / "step.onnx", step, {})
    assert not any(tmp_path.iterdir())
