"""A method looks the same in every picture."""

from pathlib import Path

from matplotlib.figure import Figure

from pipeline.reporting.figures import style

METHODS = Path(__file__).parents[3] / "pipeline" / "methods"


def test_a_method_has_one_colour_whatever_stands_beside_it() -> None:
    few = style.colors([("iql", "default"), ("more3s", "default")])
    many = style.colors([("more3s", "default"), ("more3s", "no_memory"), ("iql", "default")])
    assert few.items() <= many.items()
    assert list(many) == [("more3s", "default"), ("more3s", "no_memory"), ("iql", "default")]


def test_every_method_has_a_colour_of_its_own() -> None:
    names = {path.stem for path in METHODS.glob("[a-z]*.py")}
    assert names <= {*style.METHODS}
    assert len(set(style.METHODS.values())) == len(style.METHODS)


def test_rows_of_a_picture_differ_and_their_order_does_not_matter() -> None:
    rows = [("more3s", f"variant_{i}") for i in range(12)] + [("new_method", "default")]
    chosen = style.colors(rows)
    assert len(set(chosen.values())) == len(rows)
    assert style.colors(reversed(rows)) == chosen
    assert style.GREY not in chosen.values()


def test_lines_without_any_value_have_a_range() -> None:
    axes = Figure().subplots()
    axes.plot([0], [float("nan")])
    assert style.range_of_lines(axes) == (0, 1)
    axes.plot([0, 1], [2, 4])
    assert style.range_of_lines(axes) == (1.7, 4.3)


def test_a_legend_says_each_thing_once() -> None:
    figure = Figure(layout="constrained")
    for axes in figure.subplots(1, 2):
        axes.plot([0, 1], label="MORE-3S")
    style.legend(figure)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["MORE-3S"]
