"""Makes the site's first page of README.md, and leads links out of `docs/` to the repository.

MkDocs calls it (`hooks` in mkdocs.yml). Without a `repo_url` such links become plain text.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, *, config: Any) -> Files:
    """Add README.md as the page `index.md`."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=from_docs(readme)))
    return files


def from_docs(readme: str) -> str:
    """README.md with its links as they read from within `docs/`."""
    inside = readme.replace("](docs/", "](")
    named = re.sub(r"(?<!!)\]\((?!https?:|#|[\w.]+\.md|images/)", "](../", inside)
    return re.sub(r"\]\((?=CONTRIBUTING|CHANGELOG)", "](../", named)


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Lead links to files of the repository to its host, those to README.md to the first page."""

    def link(found: re.Match[str]) -> str:
        text, path, anchor = found[1], found[2], found[3] or ""
        if path == "../README.md":
            return f"[{text}](index.md{anchor})"
        if not path.startswith("../"):
            return found[0]
        if not config["repo_url"]:
            return text
        return f"[{text}]({config['repo_url'].rstrip('/')}/blob/HEAD/{path[3:]}{anchor})"

    return LINK.sub(link, markdown)
