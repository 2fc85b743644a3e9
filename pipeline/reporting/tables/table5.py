"""Table 5: which set of prompts the actions are written in."""

from pipeline.reporting.tables._ablation import Ablation

build = Ablation(
    name="table5",
    title="Table 5: prompt sets",
    claim="prompt sets differ very little.",
    setting=lambda settings: str(settings["features"]["prompt_set"]),
)
