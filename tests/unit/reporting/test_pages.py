"""Pages stand alone, and show text as text."""

import base64
import re
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import robots

from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.evaluation.video import writing_video
from pipeline.features import prompts
from pipeline.reporting.formatting import markdown_grid
from pipeline.reporting.pages import listings, markdown, page
from pipeline.reporting.pages.film import fitting
from pipeline.reporting.scores import Run

RESOURCES = Path(__file__).parents[3] / "resources"


def test_a_page_stands_alone_and_text_stays_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["1 < 2 & <b>"], "b": [None]})
    body = page.heading("<Title>") + page.table(frame)
    page.write(tmp_path / "page.html", "a & b", body)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>a &amp; b</title>" in text
    assert "<h1>&lt;Title&gt;</h1>" in text
    assert "1 &lt; 2 &amp; &lt;b&gt;" in text
    assert "http" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_video_is_in_its_page() -> None:
    content = bytes(range(256)) * 5
    found = re.search(r'src="data:video/mp4;base64,([^"]+)"', page.video(content))
    assert found is not None
    assert base64.b64decode(found.group(1)) == content


def test_a_long_video_is_made_to_fit(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (300, 64, 48, 3), np.uint8)
    with writing_video(tmp_path / "rollout.mp4") as keep:
        for picture in pictures:
            keep(picture)
    whole, room = tmp_path / "rollout.mp4", 100_000
    assert whole.stat().st_size > 2 * room
    with av.open(BytesIO(fitting(whole, room))) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (24, 32)
        assert sum(1 for _ in container.decode(stream)) == 300
    assert len(fitting(whole, room)) < room
    assert fitting(whole, whole.stat().st_size) == whole.read_bytes()


def test_a_page_that_no_browser_would_open_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"page\.html: a page of 1,50\d,\d{3} bytes"):
        page.write(tmp_path / "page.html", "large", "x" * page.LIMIT)
    assert list(tmp_path.iterdir()) == []


def test_markdown_tables_become_tables() -> None:
    grid = markdown_grid(["game", "DT"], [["catch", "**1.0 ± 2**"], ["<i>", "3"]])
    html = markdown.to_html(f"# Title\n\n{grid}\n\n- Warning: few.\n")
    assert "<h1>Title</h1>" in html
    assert '<td style="text-align:right"><strong>1.0 ± 2</strong></td>' in html
    assert html.count("<tr>") == 3
    assert "<td>&lt;i&gt;</td>" in html
    assert html.index("</table>") < html.index("<li>Warning: few.</li>")


def test_prompts_are_listed_by_action_and_set(tmp_path: Path) -> None:
    meanings = ("NOOP", "RIGHT", "LEFT")
    files = []
    for name in ("original", "synonym"):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(prompts.as_json(RESOURCES, "Catch", name, meanings))
    listed = listings.prompts(ActionSpace(meanings), ["original", "synonym"], files)
    assert list(listed.columns) == ["action", "original", "synonym"]
    for name in ("original", "synonym"):
        expected = prompts.read(RESOURCES, "Catch", name)
        assert dict(zip(listed["action"], listed[name], strict=True)) == expected
    with pytest.raises(PipelineError, match=r"original\.json: 3 sentences for 2 actions"):
        listings.prompts(ActionSpace(meanings[:2]), ["original"], files[:1])


def test_prompts_of_torques_are_listed_by_level(tmp_path: Path) -> None:
    environment = robots.config()
    space = robots.robot(environment).actions
    files = []
    for name in ("original", "synonym"):
        files.append(tmp_path / f"{name}.json")
        text = prompts.make(RESOURCES, environment, name, space, space.start()[None])
        files[-1].write_text(text)
    listed = listings.prompts(space, ["original", "synonym"], files)
    assert listed["torques"][0] == "level 1 of 5, all joints"
    assert listed["original"][2] == "Thigh rests, leg rests, foot rests."
    assert listed["synonym"][4].startswith("Haunch extends strongly, ")


def test_runs_that_agree_share_a_row(tmp_path: Path) -> None:
    texts = ["trained here", "trained here", "random"]
    files = [tmp_path / f"{index}.json" for index in range(3)]
    rest = '"sampling": "s", "data_mean": 1, "data_max": 2, "target_return": null'
    for file, weights in zip(files, texts, strict=True):
        file.write_text(
            f'{{"weights": "{weights}", "data_source": "d", {rest}, "max_episode_steps": 3,'
            '"known_starts": [], "ended_as_recorded": [], "serving": {}, "still_limit": null,'
            ' "settings": {}, "versions": {"torch": "2", "numpy": "1"}}'
        )
    listed = listings.runs([Run("catch", "more3s", "default", seed) for seed in range(3)], files)
    assert listed["seeds"].tolist() == ["0, 1", "2"]
    assert listed["weights"].tolist() == ["trained here", "random"]
    assert set(listed["versions"]) == {"numpy 1, torch 2"}
    assert list(listed.columns)[:4] == ["data set", "method", "variant", "seeds"]
