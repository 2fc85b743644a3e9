"""Table 4: how long the long-term memory is."""

from pipeline.reporting.tables._ablation import Ablation

build = Ablation(
    name="table4",
    title="Table 4: long-term memory",
    claim="long-term attention helps, except on Seaquest.",
    setting=lambda settings: "M = {memory_length} (K = {context_length})".format(
        **settings["policy"]
    ),
)
