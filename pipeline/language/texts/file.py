"""A text file of this machine, `name`: UTF-8."""

from pathlib import Path

from pipeline.config.schema import LanguageModelConfig
from pipeline.errors import PipelineError
from pipeline.language.texts import Text, named


def read(config: LanguageModelConfig) -> Text:
    """Read the file; PipelineError naming it if it is missing or not UTF-8."""
    path = Path(named(config))
    try:
        return Text(path.read_text(encoding="utf-8"), f"file {path.name}")
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read ({error.strerror}); name a file") from None
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: not UTF-8 ({error.reason}); convert it first") from None
