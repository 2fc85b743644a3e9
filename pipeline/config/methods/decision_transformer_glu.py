"""Settings of Decision Transformer with a gated output: those of Decision Transformer."""

from pipeline.config.methods.decision_transformer import Settings as Settings
