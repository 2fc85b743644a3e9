"""Texts that a language model learns to write from: one file per source, with
`read(config) -> Text`.
"""

from dataclasses import dataclass

from pipeline.config import plugins
from pipeline.config.schema import LanguageModelConfig
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class Text:
    """A text, and what it is."""

    content: str
    description: str
    """A few words for tables: source, version, licence where it is known."""


def read(config: LanguageModelConfig) -> Text:
    """Read the text that `config.source` and `config.name` name.

    Raises PipelineError for an unknown source, a text that cannot be had, or an empty one.
    """
    text: Text = plugins.load("language.texts", config.source).read(config)
    if not text.content.strip():
        raise PipelineError(f"{text.description}: the text is empty; name another one")
    return text


def named(config: LanguageModelConfig) -> str:
    """`config.name`; PipelineError for a source that needs one where there is none."""
    if config.name is None:
        raise PipelineError(f"language model: source {config.source} needs `name`; add it")
    return config.name
