"""Who gets which card, which are simulated by names, and that nobody shares; and in what precision
detection and encoding compute, in the cache and in play alike.
"""

import dataclasses
import os
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from encoding import DETECTOR, ENCODER, PROMPTS, encoder, frames, some_regions
from policies import METHODS, acted, batch_of, policy_of
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.errors import PipelineError
from pipeline.features import encoders
from pipeline.features.step_encoder import StepEncoder
from pipeline.hardware import devices, distributed
from pipeline.nn.decoding import Decoding
from pipeline.nn.kv_cache import Positions
from pipeline.nn.transformer import Transformer
from pipeline.vision import detectors

CARDS = ["GPU-a", "GPU-b"]


def forked(work: Path, cards: dict[int, str]) -> int:
    """A job that takes a card, says so, and keeps it until it is told to end."""
    process = os.fork()
    if process:
        return process

    def wait(_: float) -> None:
        (work / f"{os.getpid()}.waits").open("a").write(".")
        time.sleep(0.01)

    index = devices.take(cards, work, wait)
    (work / f"{os.getpid()}-{index}.holds").touch()
    until((work / f"{os.getpid()}.ends").exists)
    os._exit(0)


def until(true: Callable[[], bool]) -> None:
    """Wait for an event, however long it takes on a busy machine."""
    while not true():
        time.sleep(0.01)


def holders(work: Path) -> dict[int, str]:
    """The jobs that have taken a card → the card."""
    return {int(job): card for job, card in (f.stem.split("-") for f in work.glob("*-*.holds"))}


def end(work: Path, job: int) -> None:
    """Let a job end, and see that all was well."""
    (work / f"{job}.ends").touch()
    assert os.waitpid(job, 0)[1] == 0


def test_no_two_jobs_have_one_card(tmp_path: Path) -> None:
    """Two at a time hold the two cards, whoever comes when."""
    cards = devices.candidates("cuda", CARDS)
    jobs = [forked(tmp_path, cards) for _ in range(7)]
    ended: set[int] = set()
    while len(ended) < len(jobs):
        expected = len(ended) + min(2, len(jobs) - len(ended))
        until(lambda: len(holders(tmp_path)) >= expected)  # noqa: B023 - called here only
        now = {job: card for job, card in holders(tmp_path).items() if job not in ended}
        assert len(set(now.values())) == len(now) <= 2, now
        end(tmp_path, first := min(now))
        ended.add(first)
    assert set(holders(tmp_path).values()) == {"0", "1"}


def test_a_killed_job_gives_its_card_back(tmp_path: Path) -> None:
    cards = {0: "GPU-a"}
    killed = forked(tmp_path, cards)
    until(lambda: killed in holders(tmp_path))
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    end(tmp_path, forked(tmp_path, cards))


def test_waiting_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    holder = forked(tmp_path, {0: "GPU-a"})
    until(lambda: holder in holders(tmp_path))
    waiting = forked(tmp_path, {0: "GPU-a"})
    waits = tmp_path / f"{waiting}.waits"
    until(lambda: waits.exists() and waits.stat().st_size >= 3)
    for job in (holder, waiting):
        end(tmp_path, job)
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


class RowsWhereTheTensorIs(TorchDispatchMode):
    """A card refuses `index_select` by rows that are elsewhere; `meta` does not by itself."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket is torch.ops.aten.index_select:
            assert args[0].device == args[2].device
        return func(*args, **(kwargs or {}))


def test_rows_are_chosen_by_numbers_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of caches that are on a card, by rows that are not."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # `meta` has none
    shape = policy_of("decision_transformer").settings
    net, rows = Transformer(shape, 1).to("meta"), torch.tensor([1, 0, 1])
    x = torch.zeros(2, 4, shape.width, device="meta")
    _, cache = net(x, Positions.of_steps(0, 2, 2))
    _, decoding = Decoding.begin(net, x, 2)
    with RowsWhereTheTensorIs():
        assert cache.select(rows).padding_mask.device.type == "meta"
        assert decoding.select(rows).memory.device.type == "meta"


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
