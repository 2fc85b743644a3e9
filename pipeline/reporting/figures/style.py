"""How pictures look: a method has one colour everywhere, whatever is drawn beside it, and a legend
stands outside of what it explains.
"""

from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

PALETTE = tuple(to_hex(color) for color in (*colormaps["tab10"].colors, *colormaps["Dark2"].colors))  # type: ignore[attr-defined]
"""Strong colours; grey is the data's and random play's."""
GREY = "#7f7f7f"
METHODS = {
    "random": GREY,
    "more3s": "#d62728",
    "decision_transformer": "#1f77b4",
    "decision_transformer_glu": "#17becf",
    "behaviour_cloning": "#2ca02c",
    "bc_mlp": "#66a61e",
    "starformer": "#9467bd",
    "cql": "#ff7f0e",
    "qr_dqn": "#8c564b",
    "rem": "#e377c2",
    "td3_bc": "#bcbd22",
    "iql": "#1b9e77",
    "awr": "#d95f02",
    "brac_v": "#7570b3",
    "bear": "#a6761d",
    "mbop": "#e6ab02",
    "cql_continuous": "#fd8d3c",
    "upside_down": "#e7298a",
    "trajectory_transformer": "#393b79",
    "diffuser": "#637939",
    "tap": "#843c39",
    "gato": "#7b4173",
    "jowa": "#3182bd",
    "jowa_pixels": "#6baed6",
    "scaled_ql": "#e6550d",
    "multi_game_dt": "#bd9e39",
    "elastic_dt": "#31a354",
    "multi_task_bc": "#8c6d31",
}
"""A new method's colour comes from its name until it has one here."""
FONT_SIZE = 8
DPI = 120


def colors(rows: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The colour of each (method, variant): the method's own for its default, and for a variant one
    that its name decides, unless another row of the picture has that already.
    """
    chosen: dict[tuple[str, str], str] = {}
    rows = list(dict.fromkeys(rows))
    for method, variant in sorted(rows, key=lambda row: (row[1] != "default", row)):
        known = METHODS.get(method) if variant == "default" else None
        chosen[method, variant] = known or _free(method + variant, set(chosen.values()))
    return {row: chosen[row] for row in rows}


def _free(name: str, taken: set[str]) -> str:
    """A colour that `name` decides, or the next one that is not taken."""
    start = crc32(name.encode())
    circle = [PALETTE[(start + i) % len(PALETTE)] for i in range(len(PALETTE))]
    return next((each for each in circle if each not in taken | {GREY}), circle[0])


def range_of_lines(axes: Axes) -> tuple[float, float]:
    """Between which values all lines lie, with a margin: the wide band of an interval over two or
    three seeds is cut off, where it would press the lines together. From 0 to 1 without any value,
    as of a policy that was not trained.
    """
    drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.get_lines()])
    if not np.isfinite(drawn).any():
        return 0.0, 1.0
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    margin = 0.15 * (high - low) or 0.5
    return float(low - margin), float(high + margin)


def legend(figure: Figure) -> None:
    """One legend to the right of all panels, which says each thing once."""
    shown = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if shown:
        figure.legend(
            handles=shown.values(),
            labels=shown.keys(),
            loc="outside right upper",
            fontsize=FONT_SIZE,
            frameon=False,
        )


def save(figure: Figure, path: Path) -> None:
    """Write a PNG; the same picture is the same bytes."""
    figure.savefig(path, dpi=DPI, format="png", metadata={"Software": None})
