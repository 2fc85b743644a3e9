"""Parts of the method, each changed or taken away, and pixels instead of embeddings."""

from pipeline.reporting.tables._ablation import Ablation

build = Ablation(
    name="components",
    title="Components",
    claim="states and actions in one semantic space, predicted together, carry the method.",
)
