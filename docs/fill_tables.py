"""Fill in the tables of README and docs from files of the workflow; none is typed by hand.

    python docs/fill_tables.py results/table1.md

keeps a copy of each file in `docs/tables/` and writes its parts into the pages, each between two
comments: `<!-- table1.md: table 1 -->` or `<!-- table1.md: warnings -->`, and `<!-- end -->`.
"""

import argparse
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "docs" / "tables"
BLOCK = re.compile(r"(<!-- ([\w.]+): (table \d+|warnings) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """Where blocks are looked for."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def filled(page: str, folder: Path = KEPT) -> str:
    """The page with the content of each block as the files in `folder` have it.

    Raises FileNotFoundError for a file that is not there, IndexError for a table that it lacks.
    """

    def content(block: re.Match[str]) -> str:
        written = (folder / block[2]).read_text(encoding="utf-8")
        return f"{block[1]}\n{part(written, block[3])}\n\n{block[5]}"

    return BLOCK.sub(content, page)


def part(written: str, name: str) -> str:
    """`table N`, counted from 1, or `warnings`, of the Markdown that a table's rule writes."""
    if name == "warnings":
        return "\n".join(line for line in written.splitlines() if line.startswith("- Warning"))
    grids = re.findall(r"(?:^\|.*\n)+", written, re.MULTILINE)
    return str(grids[int(name.split()[1]) - 1]).strip()


def main(arguments: Iterable[str] | None = None) -> None:
    """Copy and fill in."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="Markdown of tables, as results/*.md")
    for file in parser.parse_args(arguments and [*arguments]).files:
        KEPT.mkdir(exist_ok=True)
        shutil.copyfile(file, KEPT / file.name)
    for page in pages():
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
