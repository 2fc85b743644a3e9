"""The overview: cells lead to what they rest on, intervals are drawn, videos are short."""

import json
import re
from html import unescape
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pandas as pd

from pipeline.evaluation.video import FRAMES_PER_SECOND, writing_video
from pipeline.reporting.figures import intervals
from pipeline.reporting.pages import explained, overview
from pipeline.reporting.pages.film import beginning
from pipeline.reporting.scores import Run

METHODS = ("random", "more3s", "decision_transformer")
TOLD, PLAYER = Path("results/explained.html"), Path("results/player.html")


def table() -> pd.DataFrame:
    rows = []
    for dataset in ("pong", "qbert"):
        for place, method in enumerate(METHODS):
            row: dict[str, object] = {"dataset": dataset, "method": method, "variant": "default"}
            row |= {"seeds": 3, "episodes": 30, "mean": 10.0 * place, "std": 1.0}
            row |= {"ci_low": 10.0 * place - 2, "ci_high": 10.0 * place + 2, "data_mean": 12.0}
            rows.append(row)
    return pd.DataFrame(rows)


def across(ends: float = 0.1) -> pd.DataFrame:
    rows = []
    for place, method in enumerate(METHODS[1:]):
        row: dict[str, object] = {"method": method, "variant": "default", "games": 2, "seeds": 3}
        for name in intervals.PANELS:
            row |= {name: 0.5 + place, f"{name}_ci_low": 0.5 + place - ends}
            row[f"{name}_ci_high"] = 0.5 + place + ends
        rows.append(row)
    return pd.DataFrame(rows)


def film(path: Path, seconds: int) -> Path:
    pictures = np.random.default_rng(0).integers(0, 256, (8, 64, 48, 3), np.uint8)
    with writing_video(path) as keep:
        for i in range(seconds * FRAMES_PER_SECOND):
            keep(pictures[i % 8])
    return path


def test_a_cell_opens_its_explanation_and_its_video(tmp_path: Path) -> None:
    picture = tmp_path / "intervals.png"
    intervals.plot(across(), picture)
    video = film(tmp_path / "rollout.mp4", 1)
    films = overview.films([Run("qbert", "more3s", "default", 0)], [video], [PLAYER])
    html = overview.body("Table 1", table(), picture, TOLD, films)
    lines = re.findall(r"<tr>(.*?)</tr>", html)
    assert len(lines) == 3
    cells = re.findall(r"<td>(.*?)</td>", lines[2])
    assert cells[0] == "qbert"
    assert cells[2].startswith("10.0 ± 1.0<br>[8.0, 12.0]<br>")
    assert cells[3].startswith("<b>20.0 ± 1.0<br>[18.0, 22.0]</b>")
    assert cells[4] == "12.0"
    links = [unescape(link) for link in re.findall(r'href="([^"]+)"', cells[2])]
    told = f"results[{json.dumps(str(TOLD))}].data_uri + "
    assert links[0].endswith(f"contentPath: {told}{json.dumps('#qbert-more3s-default')}}})")
    assert links[1].endswith(f"contentPath: results[{json.dumps(str(PLAYER))}].data_uri}})")
    assert cells[3].count("href") == 1
    assert html.count("<video") == 1
    assert "MORE-3S, seed 0" in html


def test_explanations_have_the_anchors_that_cells_name() -> None:
    place = ("qbert", "more3s", "default")
    html = explained.body("t", {place: "a < b"})
    assert f'id="{explained.anchor(place)}"' in html
    assert "<pre>a &lt; b</pre>" in html


def test_a_table_of_one_run_has_points_without_intervals(tmp_path: Path) -> None:
    alone = across().assign(**{f"{name}_ci_low": np.nan for name in intervals.PANELS})
    intervals.plot(across(), tmp_path / "with.png")
    intervals.plot(alone, tmp_path / "without.png")
    pictures = [(tmp_path / f"{name}.png").read_bytes() for name in ("with", "without")]
    assert pictures[0] != pictures[1]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_only_the_beginning_of_a_video_is_kept(tmp_path: Path) -> None:
    short = beginning(film(tmp_path / "rollout.mp4", 4), 100_000, 2)
    with av.open(BytesIO(short)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 2 * FRAMES_PER_SECOND
