"""The pages that people read: their links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "resources").rglob("*.md")]
)
FENCE = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def without_code(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", without_code(page), flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", LINK.sub("", heading).lower()) for heading in headings]
    return {name.strip().replace(" ", "-") for name in plain}


def broken(page: Path) -> list[str]:
    """Relative links of a page that lead to no file or to no heading."""
    found = []
    for link in LINK.findall(without_code(page)):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](#one-thing) [b](#two) [c](page.md#one-thing) [d](gone.md)\n")
    assert broken(page) == ["#two", "gone.md"]


def test_pages_that_code_and_settings_name_exist() -> None:
    files = [
        path
        for folder in ("pipeline", "more3s", "rules", "config", "profiles", "envs", "benchmarks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".smk", ".yaml", ""} and path.is_file()
    ]
    named = {
        name: path
        for path in [*files, ROOT / "CHANGELOG.md", ROOT / "pyproject.toml"]
        for name in re.findall(r"docs/\w+\.md", path.read_text(encoding="utf-8"))
    }
    assert named
    assert {name: path for name, path in named.items() if not (ROOT / name).exists()} == {}
