"""Draw the rules that make Table 1 and its video, as Snakemake knows them → docs/images/rules.svg.

    python docs/draw_rules.py

An arrow leads from the rule that writes a file to one that reads it. Left out are arrows that
follow from others: where A leads to B and B to C, one from A to C.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "rules.svg"
TARGETS = ("results/table1.csv", "demo")
STAGES = {
    "features.smk": ("Stage one: recorded play → cached embeddings", "#e8f1fa", "#1f6fb4"),
    "policy.smk": ("Stage two: policies learn and play", "#fdeee0", "#c8690f"),
    "tables.smk": ("Tables", "#e9f5e9", "#2f8f3a"),
}
"""File of rules → what its band is called, its colour, and that of its boxes."""
WIDTH, ROW, BAND_TOP, GAP = 800, 74, 34, 12
BOX, HEIGHT, LANE = 168, 44, 40
"""Sizes in pixels: a box, and what an arrow that passes a row takes of its width."""

Edges = set[tuple[str, str]]


def rulegraph() -> Edges:
    """(from, to) of the rules that the targets need, but for the target rule itself."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "dot", "--", *TARGETS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', done.stdout, flags=re.MULTILINE))
    arrows = re.findall(r"^\s*(\d+) -> (\d+)$", done.stdout, flags=re.MULTILINE)
    found = {(names[a], names[b]) for a, b in arrows}
    return {(a, b) for a, b in found if b not in TARGETS}


def rules() -> dict[str, tuple[str, str]]:
    """Rule → its file, and the first file that it writes, with `*` for wildcards."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for block in re.split(r"^rule ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            name = block.partition(":")[0]
            written = re.search(r'\n    output:\n[^"]*"results/([^"]+)"', block)
            short = re.sub(r"\{\w+\}", "*", written[1].replace("{on}", "")) if written else ""
            found[name] = path.name, short.rpartition("seed-*/")[2].replace("*/*", "*")
    return found


def reduced(edges: Edges) -> Edges:
    """Without those that follow from others."""
    after: dict[str, set[str]] = {}
    for a, b in edges:
        after.setdefault(a, set()).add(b)

    def reached(start: str) -> set[str]:
        return after.get(start, set()).union(*(reached(b) for b in after.get(start, ())))

    return {(a, b) for a, b in edges if not any(b in reached(c) for c in after[a] - {b})}


def rows_of(edges: Edges, files: Mapping[str, str]) -> dict[str, int]:
    """The row of each rule: below all that it reads, and all bands before its own."""
    rows: dict[str, int] = {}
    names = {name for edge in edges for name in edge}
    for file in STAGES:
        waiting = {name for name in names if files[name] == file}
        top = max(rows.values(), default=-1) + 1
        while waiting:
            ready = {b for b in waiting if not any(a in waiting for a, c in edges if c == b)}
            for name in ready:
                rows[name] = max([top, *(rows[a] + 1 for a, c in edges if c == name)])
            waiting -= ready
    return rows


def laid_out(edges: Edges, rows: Mapping[str, int]) -> tuple[dict[str, float], list[list[str]]]:
    """x of each rule and of each place where an arrow passes a row, and the arrows as chains."""
    chains = []
    layers: list[list[str]] = [[] for _ in range(max(rows.values()) + 1)]
    for name in sorted(rows):
        layers[rows[name]].append(name)
    for a, b in sorted(edges):
        passed = [f"{a} > {b} @ {row}" for row in range(rows[a] + 1, rows[b])]
        for row, place in enumerate(passed, rows[a] + 1):
            layers[row].append(place)
        chains.append([a, *passed, b])
    links = [link for chain in chains for link in pairwise(chain)]
    x: dict[str, float] = {}
    for layer in layers:
        x |= _spread(layer, dict.fromkeys(layer, WIDTH / 2))
    for sweep in range(12):
        down = sweep % 2 == 0
        for layer in layers if down else layers[::-1]:
            wanted = {}
            for name in layer:
                near = [x[a if down else b] for a, b in links if (b if down else a) == name]
                wanted[name] = sum(near) / len(near) if near else x[name]
            x |= _spread(layer, wanted)
    return x, chains


def _spread(layer: list[str], wanted: Mapping[str, float]) -> dict[str, float]:
    """x of a row: in the order of what is wanted and near to it, without overlaps."""
    order = sorted(layer, key=lambda name: (wanted[name], name))
    sizes = [BOX + GAP if "@" not in name else LANE for name in order]
    places = list[float]()
    for i, name in enumerate(order):
        least = places[-1] + (sizes[i - 1] + sizes[i]) / 2 if places else wanted[name]
        places.append(max(wanted[name], least))
    shift = sum(wanted[name] for name in order) / len(order) - sum(places) / len(places)
    left = max(shift, GAP + sizes[0] / 2 - places[0])
    shift = min(left, WIDTH - GAP - sizes[-1] / 2 - places[-1])
    return {name: place + shift for name, place in zip(order, places, strict=True)}


def drawn(edges: Edges, known: Mapping[str, tuple[str, str]]) -> str:
    """The picture."""
    edges = reduced(edges)
    rows = rows_of(edges, {name: file for name, (file, _) in known.items()})
    x, chains = laid_out(edges, rows)
    bands = [known[name][0] for name in sorted(rows, key=lambda name: rows[name])]
    before = {file: i + 1 for i, file in enumerate(STAGES)}
    of_row = {rows[name]: before[known[name][0]] for name in rows}
    y = [row * ROW + of_row[row] * BAND_TOP + HEIGHT / 2 for row in range(len(of_row))]
    height = round(y[-1] + HEIGHT / 2 + 2 * GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="Helvetica, Arial, sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#667"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for file in dict.fromkeys(bands):
        title, pale, strong = STAGES[file]
        inside = [y[rows[name]] for name in rows if known[name][0] == file]
        top, bottom = min(inside) - HEIGHT / 2 - BAND_TOP + 6, max(inside) + HEIGHT / 2 + GAP
        parts.append(
            f'<rect x="2" y="{top:g}" width="{WIDTH - 4}" height="{bottom - top:g}" rx="8" '
            f'fill="{pale}"/>\n<text x="{WIDTH - GAP}" y="{top + 19:g}" text-anchor="end" '
            f'font-size="14" font-weight="bold" fill="{strong}">{title}</text>'
        )
    parts += [_arrow(chain, x, y, rows) for chain in chains]
    parts += [_box(name, known[name], x[name], y[rows[name]]) for name in sorted(rows)]
    return "\n".join([*parts, "</svg>\n"])


def _arrow(
    chain: list[str], x: Mapping[str, float], y: list[float], rows: Mapping[str, int]
) -> str:
    """A line that bends between rows."""
    start, first = chain[0], rows[chain[0]]
    path = f"M{x[start]:.0f} {y[first] + HEIGHT / 2:g}"
    for i, name in enumerate(chain[1:], first + 1):
        above, to = y[i - 1] + HEIGHT / 2, y[i] - HEIGHT / 2
        middle = (above + to) / 2
        path += f"C{x[chain[i - 1 - first]]:.0f} {middle:g} {x[name]:.0f} {middle:g} "
        path += f"{x[name]:.0f} {to:g}" + ("" if name == chain[-1] else f"V{y[i] + HEIGHT / 2:g}")
    return f'<path d="{path}" fill="none" stroke="#667" stroke-width="1.4" marker-end="url(#tip)"/>'


def _box(name: str, known: tuple[str, str], x: float, y: float) -> str:
    """A rule, and below its name what it writes."""
    file, written = known
    strong = STAGES[file][2]
    texts: Iterable[str] = (
        f'<text x="{x:.0f}" y="{y - 2:g}" font-size="13" text-anchor="middle" fill="#112">'
        f"{escape(name)}</text>",
        f'<text x="{x:.0f}" y="{y + 14:g}" font-size="10.5" text-anchor="middle" fill="#556">'
        f"{escape(written)}</text>",
    )
    left, top = x - BOX / 2, y - HEIGHT / 2
    return (
        f'<rect x="{left:.0f}" y="{top:g}" width="{BOX}" height="{HEIGHT}" rx="6" fill="#fff" '
        f'stroke="{strong}" stroke-width="1.4"/>\n' + "\n".join(texts)
    )


if __name__ == "__main__":
    PICTURE.write_text(drawn(rulegraph(), rules()), encoding="utf-8")
