"""Tables in README and docs are those of files that the workflow wrote."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "fill_tables.py"
SPEC = importlib.util.spec_from_file_location("fill_tables", SCRIPT)
assert SPEC is not None
assert SPEC.loader is not None
fill_tables = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fill_tables)
WRITTEN = (
    "# Table 1\n\nRaw score.\n\n| a | b |\n| --- | ---: |\n| x | 1 |\n\n| c |\n| --- |\n\n"
    "- Warning: few.\n"
)


@pytest.mark.parametrize("page", fill_tables.pages(), ids=lambda page: page.name)
def test_what_a_page_shows_is_what_was_written(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert fill_tables.filled(text) == text, "run python docs/fill_tables.py results/…"


def test_blocks_are_filled_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / "t.md").write_text(WRITTEN)
    page = (
        "before\n<!-- t.md: table 1 -->\nold\n<!-- end -->\n<!-- t.md: warnings -->\n<!-- end -->"
    )
    assert fill_tables.filled(page, tmp_path) == (
        "before\n<!-- t.md: table 1 -->\n\n| a | b |\n| --- | ---: |\n| x | 1 |\n\n<!-- end -->\n"
        "<!-- t.md: warnings -->\n\n- Warning: few.\n\n<!-- end -->"
    )
    assert fill_tables.filled(fill_tables.filled(page, tmp_path), tmp_path) == (
        fill_tables.filled(page, tmp_path)
    )


def test_a_table_that_is_not_there_is_not_filled_in_silently(tmp_path: Path) -> None:
    (tmp_path / "t.md").write_text(WRITTEN)
    with pytest.raises(IndexError):
        fill_tables.filled("<!-- t.md: table 3 -->\n<!-- end -->", tmp_path)
