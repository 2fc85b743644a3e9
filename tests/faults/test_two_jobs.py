"""Two jobs of one target at once: one ends well, and the artefact is whole.

The first stops at an event, when it begins to write or before something takes its name, until the
second has ended. Nothing depends on the clock.
"""

import os
from pathlib import Path

import pytest
from stage_jobs import Job, contents

from pipeline.io import private_folder
from pipeline.io.private_folder import PrivateFolder

WRITING = (
    *("render_frames", "pretrain_encoder", "build_cache", "pretrain_language_model"),
    *("train_policy", "evaluate_policy", "gather_scores"),
)
"""Each way in which stages write."""


@pytest.mark.parametrize("event", [1, 3])
@pytest.mark.parametrize("name", WRITING)
def test_one_wins(
    jobs: dict[str, Job],
    made: Path,
    name: str,
    event: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first stops at its `event`-th private folder, or runs through if it has fewer."""
    job, folder = jobs[name], tmp_path / "outputs"
    folder.mkdir()
    (reached, tell), (wait, go_on) = os.pipe(), os.pipe()
    make = PrivateFolder.__init__
    left = iter(range(event, -1, -1))

    def stopping(self: PrivateFolder, path: Path) -> None:
        make(self, path)
        if next(left, 0) == 1:
            os.write(tell, b".")
            os.read(wait, 1)

    with monkeypatch.context() as patched:
        patched.setattr(private_folder.PrivateFolder, "__init__", stopping)
        first = job.start(folder, tmp_path / "first")
    os.close(tell)
    stopped = os.read(reached, 1)  # nothing where it has ended
    codes = {"second": ended(job.start(folder, tmp_path / "second"))}
    os.write(go_on, b".")
    codes["first"] = ended(first)
    logs = {which: (tmp_path / which).read_text(encoding="utf-8") for which in codes}
    assert 0 in codes.values(), logs
    assert not stopped or codes["first"] == 0, logs
    for which, code in codes.items():
        assert "Traceback" not in logs[which], logs
        if code:
            assert "another process is making it at the moment" in logs[which]
    expected = contents(made, list(job.outputs.values()))
    assert contents(folder, list(job.outputs.values())) == expected
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def ended(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
