"""Who gets which card, which are simulated by names, and that nobody shares; and in what precision
detection and encoding compute, in the cache and in play alike.
"""

import dataclasses
import os
import signal
import time
from contextlib import nullcontext
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch
from encoding import DETECTOR, ENCODER, PROMPTS, encoder, frames, some_regions
from policies import METHODS, acted, batch_of, policy_of

from pipeline.errors import PipelineError
from pipeline.features import encoders
from pipeline.features.step_encoder import StepEncoder
from pipeline.hardware import devices, distributed
from pipeline.vision import detectors

CARDS = ["GPU-a", "GPU-b"]


def forked(work: "Path", cards: dict[int, str], seconds: float) -> int:
    """A job that takes a card, says so in a file of its own, and keeps it for a while."""
    process = os.fork()
    if process:
        return process
    index = devices.take(cards, work, wait=lambda _: time.sleep(0.01))
    started = time.monotonic()
    time.sleep(seconds)
    line = f"{index} {started} {time.monotonic()}"
    (work / f"{os.getpid()}.job").write_text(line)
    os._exit(0)


def test_no_two_jobs_have_one_card(tmp_path: Path) -> None:
    cards = devices.candidates("cuda", CARDS)
    jobs = [forked(tmp_path, cards, 0.1) for _ in range(7)]
    for job in jobs:
        assert os.waitpid(job, 0)[1] == 0
    spans: dict[str, list[tuple[float, float]]] = {}
    for file in tmp_path.glob("*.job"):
        card, start, end = file.read_text().split()
        spans.setdefault(card, []).append((float(start), float(end)))
    assert sorted(spans) == ["0", "1"]  # both are used
    assert sum(map(len, spans.values())) == len(jobs)
    for each in spans.values():
        each.sort()
        assert all(end <= start for (_, end), (start, _) in pairwise(each))


def test_a_killed_job_gives_its_card_back(tmp_path: Path) -> None:
    cards = {0: "GPU-a"}
    killed = forked(tmp_path, cards, 60)
    while not (tmp_path / "GPU-a.lock").exists():
        time.sleep(0.01)
    time.sleep(0.05)
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    assert os.waitpid(forked(tmp_path, cards, 0), 0)[1] == 0


def test_waiting_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    holder = forked(tmp_path, {0: "GPU-a"}, 0.3)
    while not (tmp_path / "GPU-a.lock").exists():
        time.sleep(0.01)
    time.sleep(0.05)
    waiting = forked(tmp_path, {0: "GPU-a"}, 0)
    for job in (holder, waiting):
        os.waitpid(job, 0)
    assert capfd.readouterr().err == "waiting for a free device: GPU-a\n"


@pytest.mark.parametrize(
    ("wanted", "cards", "chosen"),
    [
        ("cpu", CARDS, {}),
        ("auto", [], {}),
        ("auto", CARDS, {0: "GPU-a", 1: "GPU-b"}),
        ("cuda", CARDS, {0: "GPU-a", 1: "GPU-b"}),
        ("cuda:1", CARDS, {1: "GPU-b"}),
    ],
)
def test_which_cards_will_do(wanted: str, cards: list[str], chosen: dict[int, str]) -> None:
    assert devices.candidates(wanted, cards) == chosen


@pytest.mark.parametrize(
    ("wanted", "cards", "expected"),
    [
        ("gpu", CARDS, "--device: 'gpu'; allowed: auto, cpu, cuda, cuda:<number>"),
        ("cuda", [], "--device: cuda, but 0 CUDA devices are visible here"),
        ("cuda:2", CARDS, "--device: cuda:2, but 2 CUDA devices are visible here"),
    ],
)
def test_a_card_that_is_not_there(wanted: str, cards: list[str], expected: str) -> None:
    with pytest.raises(PipelineError, match=expected.replace("(", r"\(")):
        devices.candidates(wanted, cards)


def test_processes_do_not_share_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "visible", lambda: CARDS)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert distributed.processes_here() == 3
    with pytest.raises(PipelineError, match="3 processes cannot share 2 cards"):
        devices.claim("cuda")


def test_the_processor_needs_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "take", None)
    assert devices.claim("cpu") == "cpu"


@pytest.mark.parametrize(
    ("method", "time_embedding"),
    [
        *((method, "relative") for method in METHODS),
        *(("more3s", time) for time in ("learned", "sinusoidal")),
        *(("decision_transformer on states", time) for time in ("learned", "sinusoidal")),
    ],
)
def test_policies_keep_to_their_device(
    method: str, time_embedding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On torch's `meta` device, where nothing is computed, but nothing may be mixed either."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # it has none
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)
    built = policy_of(
        method, time_embedding=time_embedding, history_dropout=0.5, region_dropout=0.5
    )
    policy = built.to("meta").train()
    batch = batch_of(method, 2, 5, 3 if method == "more3s" else 0).to("meta")
    loss, parts = policy.loss(batch)
    loss.backward()
    assert {loss.device.type, *(part.device.type for part in parts.values())} == {"meta"}
    assert [logits.device.type for logits in islice(acted(policy, batch), 2)] == ["meta"] * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_what_the_cpu_gives(tmp_path: Path) -> None:
    encoder(tmp_path)
    found = []
    for name in ("cpu", "cuda"):
        device = torch.device(name)
        model = encoders.load(ENCODER, tmp_path, device)
        live = StepEncoder(detectors.make(DETECTOR, device), model, PROMPTS.sentences)
        found.append(live(frames(6), torch.zeros(6, dtype=torch.int64)).tokens.float().cpu())
    torch.testing.assert_close(*found, atol=1e-2, rtol=1e-2)


def test_bfloat16_is_near_and_finite(tmp_path: Path) -> None:
    """Frames without a region among them, whose attention is masked everywhere."""
    regions, pairs = some_regions(), torch.arange(4)
    exact, mixed = (
        StepEncoder(None, encoder(tmp_path), PROMPTS.sentences, precision).encode_regions(
            regions, pairs, pairs % 3
        )
        for precision in ("float32", "bfloat16")
    )
    assert mixed.tokens.dtype == torch.float16
    assert torch.isfinite(mixed.tokens).all()
    difference = (mixed.tokens.float() - exact.tokens.float()).abs().max()
    assert 0 < difference < 0.05


def test_detectors_in_bfloat16() -> None:
    exact = detectors.make(DETECTOR)(frames(6))
    mixed = detectors.make(DETECTOR.model_copy(update={"precision": "bfloat16"}))(frames(6))
    for field in dataclasses.fields(exact):
        assert getattr(mixed, field.name).dtype == getattr(exact, field.name).dtype
    assert torch.equal(mixed.boxes, exact.boxes)
    difference = (mixed.features.float() - exact.features.float()).abs().max()
    assert 0 < difference < 0.05


def test_native_precision_is_what_the_processor_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 only with instructions for it, on each kind of device by itself."""
    capabilities = {"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    a = torch.ones(2, 2)
    for instruction, dtype in (
        (None, torch.float32),
        ("avx512_bf16", torch.bfloat16),
        ("amx_bf16", torch.bfloat16),
    ):
        if instruction:
            capabilities |= {"avx512_bf16": False, "amx_bf16": False, instruction: True}
        devices.multiplies_bfloat16.cache_clear()
        with devices.mixed_precision("native"):
            assert (a @ a).dtype == dtype
    devices.multiplies_bfloat16.cache_clear()
