"""The terminal says how far jobs are; it reads it in their logs."""

import os
import time
from io import StringIO
from pathlib import Path

from tqdm import tqdm

from pipeline.reporting import progress


def log(path: Path, done: int, of: int) -> None:
    """A log as a job writes it that is at `done` of `of`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = StringIO("a line before\n")
    text.seek(0, os.SEEK_END)
    bar = tqdm(range(of), "train", file=text, mininterval=0)
    bar.update(done)
    bar.set_postfix(loss="0.5")
    bar.refresh()
    path.write_text(text.getvalue(), encoding="utf-8")


def test_running_jobs_are_told_of_and_others_are_not(tmp_path: Path) -> None:
    now = time.time()
    log(tmp_path / "train_policy" / "catch" / "seed-0.log", 30, 40)
    log(tmp_path / "train_policy" / "catch" / "seed-1.log", 40, 40)  # done
    log(tmp_path / "render_frames" / "catch.log", 1, 40)
    os.utime(tmp_path / "render_frames" / "catch.log", (now - 999, now - 999))  # long silent
    (tmp_path / "write_prompts.log").write_text("no bar in it\n")
    (told,) = progress.running(tmp_path, now)
    assert (told.job, told.doing, told.percent) == ("train_policy/catch/seed-0", "train", 75)
    assert progress.line(told) == f"  train_policy/catch/seed-0: train 75 %, {told.left} left"
    assert progress.line(told._replace(left="?")) == "  train_policy/catch/seed-0: train 75 %"


def test_what_is_no_text_or_is_long_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log(path, 10, 40)
    path.write_bytes(bytes(range(128, 256)) * 400 + path.read_bytes())
    (told,) = progress.running(tmp_path, time.time())
    assert told.percent == 25
    assert list(progress.running(tmp_path / "missing", time.time())) == []
