"""The report of the toy workflow, opened in a browser, and what it shows."""

import json
import re
from pathlib import Path

import browser
import pandas as pd
import pytest
import report_file
from toy_project import CHOOSING, METHODS, RUNS


def test_every_measured_stage_has_its_cost(project: Path) -> None:
    sources = "\n".join(path.read_text() for path in (project / "rules").glob("*.smk"))
    blocks = re.findall(r"^rule (\w+):\n((?:(?: .*)?\n)*)", sources, flags=re.MULTILINE)
    costs = pd.read_csv(project / "results" / "costs.csv")
    assert set(costs["stage"]) == {name for name, block in blocks if "    benchmark:" in block}
    assert costs.set_index("stage")["jobs"]["train_policy"] == RUNS + CHOOSING
    assert (costs["total_seconds"] > 0).all()


def test_a_sweep_asks_for_every_target(project: Path) -> None:
    run = project / "results" / "runs" / "catch" / "more3s" / "default" / "seed-0"
    sweep = pd.read_csv(run / "target_sweep.csv")
    best = json.loads((run / "run.json").read_text())["data_max"]
    assert (sweep["target_return"] == sweep["factor"] * best).all()
    assert sweep.groupby("factor").size().tolist() == [5] * 5


def test_the_report_is_whole_and_loads_nothing(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    categories, results = (report_file.variable(html, n) for n in ("categories", "results"))
    assert sorted(categories) == list(report_file.SECTIONS)
    assert not [name for name, folders in categories.items() if "Other" in folders]
    first_page = html.partition("workflow_desc = ")[2].partition("\n")[0]
    assert "data:video/mp4" in first_page
    assert "Table 1" in first_page
    assert {p for s in categories.values() for paths in s.values() for p in paths} == set(results)
    for path, result in results.items():
        kind, content = report_file.decoded(result["data_uri"])
        assert kind == result["mime_type"], path
        assert content.startswith(report_file.BEGINS[kind]), path
        assert len(result["data_uri"]) < 2 * 2**20, f"{path}: a browser would not open it"
        assert len(result["caption"]) > 50, path
        assert "{{" not in result["caption"], path
        html += content.decode() if kind == "text/html" else ""
    addresses = report_file.loaded(html)
    # Each method's video, and its beginning in the overview beside the picture of intervals.
    assert sum(address.startswith("data:video/mp4") for address in addresses) == 2 * len(METHODS)
    for address in addresses:
        kind, content = report_file.decoded(address)
        assert kind in ("video/mp4", "image/png")
        assert content[4:8] == b"ftyp" or content.startswith(report_file.BEGINS["image/png"])


@pytest.mark.skipif(browser.PROGRAM is None, reason="no chromium and no google-chrome")
def test_the_report_opens_in_a_browser_without_a_network(report: Path, tmp_path: Path) -> None:
    results = report_file.variable(report.read_text(encoding="utf-8"), "results")
    with browser.opened(report, tmp_path) as page:
        text = page.wait("document.body.innerText")
        assert all(section in text for section in report_file.SECTIONS)
        page.wait("document.querySelector('#rulegraph canvas, #rulegraph svg') !== null")
        assert page.evaluate("document.querySelectorAll('.prose .wall video').length") == len(
            METHODS
        )
        assert page.evaluate("document.querySelector('#rulegraph').offsetHeight") == 0
        # A cell of its table opens what it was made from, at its row.
        page.evaluate("document.querySelector('.prose td:nth-child(3) .opens a').click()")
        page.wait("document.querySelector('section:target pre')?.innerText", frame=True)
        for path, result in results.items():
            view = "html" if result["mime_type"] == "text/html" else "img"
            uri = f"results[{json.dumps(path)}].data_uri"
            page.evaluate(f"app.setView({{content: '{view}', contentPath: {uri}}})")
            shown = f"[...document.images].find((image) => image.src === {uri})?.naturalWidth > 0"
            if view == "html":
                seen = "document.querySelector('h1')?.innerText"
                if path.endswith("rollout.html"):
                    seen = (
                        "(v => v?.currentTime > 0 && v.videoWidth)(document.querySelector('video'))"
                    )
                shown = f"location.href.length === {len(result['data_uri'])} && {seen}"
            page.wait(shown, frame=view == "html")
            assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
        assert page.requests == [report.as_uri()]
