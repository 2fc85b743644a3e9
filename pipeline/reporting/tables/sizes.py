"""Context length and model size, one at a time."""

from pipeline.reporting.tables._ablation import Ablation

build = Ablation(
    name="sizes",
    title="Context length and model size",
    claim="beyond a threshold, a longer context or a larger model gains nothing.",
    setting=lambda settings: "K = {context_length}, {width} × {layers}".format(
        **settings["policy"]
    ),
)
