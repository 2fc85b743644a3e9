"""The report's first page is the result, and then links to the rest by game."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined
from snakemake.report import Category

from pipeline.reporting.pages import page

TEMPLATE = Path(__file__).parents[3] / "report" / "workflow.rst"


@dataclass
class Result:
    path: Path
    labels: dict[str, str]


def first_page(found: dict[str, dict[str, list[Result]]]) -> str:
    """As Snakemake makes it."""
    categories = {
        Category(section): {Category(folder): results for folder, results in folders.items()}
        for section, folders in found.items()
    }
    template = Environment(undefined=StrictUndefined).from_string(TEMPLATE.read_text("utf-8"))
    text = template.render(categories=categories, files=[])
    settings = {"halt_level": 2}
    parts = publish_parts(text, writer_name="html", settings_overrides=settings)
    return str(parts["html_body"])


def test_table_and_videos_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("table1", "table2", "pong", "qbert"):
        page.write(Path(f"{name}.html"), name, page.heading(f"content of {name}"))
    curve = Result(Path("curve.png"), {"table": "table1"})
    results = {name: Result(Path(f"{name}.html"), {"name": name}) for name in ("table1", "table2")}
    videos = {name: [Result(Path(f"{name}.html"), {"dataset": name})] for name in ("pong", "qbert")}
    html = first_page(
        {
            "1 Tables": {name: [result] for name, result in results.items()},
            "2 Learning curves": {"table1": [curve]},
            "4 Rollout videos": videos,
        }
    )
    assert html.index("content of table1") < html.index("content of pong") < html.index("the menu")
    assert "content of table2" not in html
    assert "content of qbert" not in html
    for name in ("table1.html", "table2.html", "qbert.html"):
        assert f"content: 'html', contentPath: results['{name}'].data_uri" in html
    assert "content: 'img', contentPath: results['curve.png'].data_uri" in html


def test_the_overview_stands_for_both_and_the_rest_is_by_game(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("overview", "table1", "pong"):
        page.write(Path(f"{name}.html"), name, page.heading(f"content of {name}"))
    results = {name: Result(Path(f"{name}.html"), {"name": name}) for name in ("overview", "pong")}
    html = first_page(
        {
            "0 Result": {"table1": [results["overview"]]},
            "1 Tables": {"table1": [Result(Path("table1.html"), {"table": "table1"})]},
            "4 Rollout videos": {"pong": [results["pong"]]},
            "5 Boxes on frames": {"pong": [Result(Path("boxes.png"), {"features": "compact"})]},
        }
    )
    assert "content of overview" in html
    assert "content of table1" not in html
    assert "content of pong" not in html
    game = html.index("<strong>pong</strong>")
    assert html.index("table1.html") < game < html.index("pong.html") < html.index("boxes.png")
    assert "#rulegraph { display: none" in html


def test_a_report_of_nothing_has_a_first_page() -> None:
    assert "Everything is in the menu" in first_page({})


def test_captions_name_no_parameters_which_rules_do_not_have() -> None:
    """A rule's parameters are its command; an unknown one would be an empty place in a caption."""
    for path in TEMPLATE.parent.glob("*.rst"):
        assert "snakemake.params" not in path.read_text(encoding="utf-8"), path
