"""Table 3: how return-to-go enters the sequence model."""

from pipeline.reporting.tables._ablation import Ablation

build = Ablation(
    name="table3",
    title="Table 3: return-to-go",
    claim="return-to-go in keys and values is better than a linear layer by a small margin.",
    setting=lambda settings: str(settings["policy"]["return_conditioning"]),
)
