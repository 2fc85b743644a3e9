"""The pages that people read: their links lead somewhere, and their sentences are short."""

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


ITEM = re.compile(r"(?:[-*+]|\d+\.)\s+")
LONGEST = 30
"""Words in a sentence. A piece of code counts as one, a formula in a line of its own as none."""


def paragraphs(text: str) -> list[str]:
    """Running text: no code, tables, headings or formulas; an item of a list begins a new one."""
    found, lines, in_list, after_blank = [], list[str](), False, True
    for line in [*FENCE.sub("", text).splitlines(), ""]:
        stripped = line.strip()
        item = ITEM.match(stripped)
        if not stripped or stripped[0] in "|#" or item:
            found.append(" ".join(lines))
            lines = []
        if stripped and not line.startswith(" "):
            in_list = bool(item) or (in_list and not after_blank)
        formula = line.startswith("    ") and after_blank and not in_list
        if stripped and stripped[0] not in "|#" and not formula:
            lines.append(stripped[item.end() :] if item else stripped)
        after_blank = not stripped
    return [paragraph for paragraph in found if paragraph]


def sentences(text: str) -> list[str]:
    """The sentences of a page; only full stops, question and exclamation marks end one."""
    found = []
    for paragraph in paragraphs(text):
        plain = re.sub(r"`[^`]*`", "code", paragraph)
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", plain).replace("*", "")
        plain = re.sub(r"\b(al|e\.g|i\.e|vs)\.\s", r"\1 ", plain)
        found += re.split(r"(?:(?<=[.!?])|(?<=[.!?][)”\"]))\s+", plain)
    return found


def too_long(text: str) -> list[str]:
    return [
        sentence
        for sentence in sentences(text)
        if sum(bool(re.search(r"\w", word)) for word in sentence.split()) > LONGEST
    ]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent in (ROOT, ROOT / "docs") and page.stem != "CHANGELOG"],
    ids=lambda page: page.stem,
)
def test_sentences_are_short(page: Path) -> None:
    text = re.sub(
        r"<!-- \S+\.md: .*?<!-- end -->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert too_long(text) == []  # of people; what a table says of itself is filled in


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_parts_of_the_package_have_the_names_that_the_field_uses(page: Path) -> None:
    text = without_code(page).lower()
    assert re.findall(r"\brooms?\b|\bwhat decided\b|\bgone on with\b", text) == []


def test_a_long_sentence_is_noticed() -> None:
    long = " ".join(["word"] * 31)
    short = "One. " + " ".join(["word"] * 29) + " `much code in one piece`."
    assert too_long(f"# {long}\n\n- {long}.\n  {short}\n\n| {long} |\n\n    x = {long}\n") == [
        f"{long}."
    ]


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
