"""`benchmarks.card` on the processor, as small as it gets: one table, and each of its checks can
fail.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from benchmarks import _against_cpu, _paper_size, _random_data, _resumption, card
from benchmarks._outcome import FAILS, NOT_MEASURED, PASSES, Item, Outcome, outcome_of
from pipeline.config import plugins
from pipeline.errors import PipelineError
from pipeline.observations.batch import Batch

METHOD, KIND = "decision_transformer", "states"
KINDS = ("pixels", "states")
"""All that it reads."""
SMALLEST = ["--device", "cpu", "--methods", METHOD, "--no-compile", "--steps", "1"]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a run sets for its whole process is undone."""
    for variable in ("OMP_NUM_THREADS", "TQDM_DISABLE", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.setenv(variable, "1")
    with torch.random.fork_rng(devices=[]):
        yield


def table(
    capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, str, dict[str, list[str]]]:
    """Exit code, title and rows by name of a run."""
    with pytest.raises(SystemExit) as stopped:
        card.main([*SMALLEST, *options])
    lines = capsys.readouterr().out.strip().splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    assert cells[0] == ["check", "measured", "bound or floor", "verdict"]
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, lines[0], {name: rest for name, *rest in cells[2:]}


def test_everything_at_its_smallest(capsys: pytest.CaptureFixture[str]) -> None:
    code, title, rows = table(capsys)
    assert "on the processor, small, for no card is used" in title
    checks = [f"{group}, {METHOD} on {kind}" for group in card.GROUPS[:2] for kind in KINDS]
    assert list(rows)[: len(checks)] == checks
    assert {rows[name][2] for name in checks} == {PASSES}, rows
    timed = {name: row for name, row in rows.items() if name not in checks}
    assert len(timed) == 2 + 3  # detection, encoding; two precisions, and with reading
    for name, (measured, _, _) in timed.items():
        assert float(measured.replace(",", "")) > 0, (name, measured)
    assert code == 0


def test_every_method_can_be_built_on_all_that_it_reads() -> None:
    """A new one too, without a word here or there."""
    assert {method for method, _ in _random_data.readers()} == set(plugins.names("methods"))
    for method, kind in _random_data.readers():
        config = _random_data.settings(method, kind, **card.SMALL)
        learner, windows = _random_data.built(config, _random_data.Sizes(episodes=2))
        assert windows.store.shape == learner.spec.shape


def test_what_nothing_is_made_up_for_is_said() -> None:
    config = _random_data.settings(METHOD, KIND)
    policy = config.policy.model_copy(update={"observation": "sounds"})
    with pytest.raises(PipelineError, match="no random data of the kind sounds"):
        _random_data.built(config.model_copy(update={"policy": policy}), _random_data.Sizes())


def test_a_device_that_computes_otherwise_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batch, "to", lambda batch, device: batch)
    assert _against_cpu.compared(METHOD, KIND, card.SMALL, "cpu").verdict == PASSES

    def elsewhere(batch: Batch, device: str) -> Batch:
        batch.returns_to_go.mul_(1.01)
        return batch

    monkeypatch.setattr(Batch, "to", elsewhere)
    assert _against_cpu.compared(METHOD, KIND, card.SMALL, "cpu").verdict == FAILS


@pytest.mark.parametrize(
    ("loss", "gradient", "verdict"),
    [
        (2.0, 1.0, PASSES),
        (2.001, 1.0, FAILS),
        (2.0, 1.01, FAILS),
        (float("nan"), 1.0, FAILS),
        (2.0, float("nan"), FAILS),
    ],
)
def test_bounds(loss: float, gradient: float, verdict: str) -> None:
    sides = [
        [_against_cpu.Found("policy", each, (torch.tensor([slope, 0.5]), torch.zeros(2)))]
        for each, slope in ((2.0, 1.0), (loss, gradient))
    ]
    assert _against_cpu.outcome(*sides).verdict == verdict
    assert _against_cpu.outcome([], []).verdict == FAILS


def test_noise_is_drawn_on_the_processor() -> None:
    """Shown with torch's `meta` device, on which nothing is drawn."""
    draws: list[Callable[[str], torch.Tensor]] = [
        lambda device: torch.randn(3, device=device),
        lambda device: torch.rand_like(torch.empty(4, device=device)),
        lambda device: torch.empty(5, device=device).normal_(),
        lambda device: torch.normal(torch.zeros(2, device=device), torch.ones(2, device=device)),
    ]
    for draw in draws:
        torch.manual_seed(0)
        drawn = draw("cpu")
        state = torch.get_rng_state()
        torch.manual_seed(0)
        with _against_cpu.DrawnOnProcessor():
            elsewhere = draw("meta")
        assert elsewhere.device.type == "meta"
        assert elsewhere.shape == drawn.shape
        assert torch.equal(torch.get_rng_state(), state)


def test_a_training_that_goes_on_with_other_noise_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _resumption.resumed(METHOD, KIND, card.SMALL, "cpu").verdict == PASSES
    monkeypatch.setattr(torch, "set_rng_state", lambda state: None)
    assert _resumption.resumed(METHOD, KIND, card.SMALL, "cpu").verdict == FAILS


def test_where_there_is_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(learner: object) -> None:
        raise RuntimeError("no compiler | here\nwith a trace")

    monkeypatch.setattr(_paper_size, "compile_blocks", missing)
    timings = _paper_size.Timings("cpu", 1, batch=2, context=4)
    found = timings.compiled_or_not(METHOD, "float32")
    assert found == Outcome("not compiled: RuntimeError: no compiler / here", "", NOT_MEASURED)


def test_errors_and_lack_of_memory_are_rows() -> None:
    def raising(error: Exception) -> Callable[[], Outcome]:
        def measure() -> Outcome:
            raise error

        return measure

    broken = outcome_of(Item("broken", raising(ValueError("two\nlines"))))
    assert broken == Outcome("ValueError: two", "", FAILS)
    full = raising(torch.OutOfMemoryError("CUDA out of memory"))
    assert outcome_of(Item("timing", full)).verdict == NOT_MEASURED
    assert outcome_of(Item("check", full, check=True)).verdict == FAILS


def test_a_check_that_fails_or_is_not_made_is_an_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, rows = table(capsys, "--minutes", "0", "--only", "gradients", "training")
    assert code == 1
    assert rows[f"gradients, {METHOD} on {KIND}"] == ["time is over", "", FAILS]
    assert rows[f"updates per s, {METHOD}, float32"] == ["time is over", "", NOT_MEASURED]
    assert table(capsys, "--minutes", "0", "--only", "training")[0] == 0
    monkeypatch.setattr(card, "compared", lambda *_: Outcome("far off", "near", FAILS))
    assert table(capsys, "--only", "gradients")[0] == 1
