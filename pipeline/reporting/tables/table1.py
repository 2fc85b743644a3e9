"""Table 1: methods × games, raw and gamer-normalised scores, and the share of the data's score."""

from pipeline.reporting.tables._comparison import Comparison

build = Comparison(
    name="table1",
    title="Table 1",
    normalised="Gamer-normalised score: 0 is random play and 100 a human gamer, both from the "
    "literature.",
)
