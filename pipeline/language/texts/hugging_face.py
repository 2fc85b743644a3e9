"""A data set of the Hugging Face hub, `name` with `subset` and `revision`: its training split's
column `text`. Needs the package `datasets`, and a network the first time.
"""

from pipeline.config.schema import LanguageModelConfig
from pipeline.errors import PipelineError
from pipeline.language.texts import Text, named

SPLIT, COLUMN = "train", "text"


def read(config: LanguageModelConfig) -> Text:
    """Download or open the data set; one PipelineError for whatever prevents it."""
    name = named(config)
    try:
        import datasets
    except ImportError:
        raise PipelineError(
            "texts of the Hugging Face hub need the package datasets: pip install 'more3s[text]'"
        ) from None
    try:
        loaded = datasets.load_dataset(name, config.subset, split=SPLIT, revision=config.revision)
    except Exception as error:
        cause = " ".join(str(error).split())
        raise PipelineError(f"data set {name}: {cause}; check its name and the network") from None
    if COLUMN not in loaded.column_names:
        raise PipelineError(
            f"data set {name}: no column {COLUMN!r}, it has {', '.join(loaded.column_names)}"
        )
    described = " ".join(part for part in (name, config.subset, config.revision) if part)
    rows = list(loaded[COLUMN])
    for index, row in enumerate(rows):
        if not isinstance(row, str):
            raise PipelineError(
                f"data set {name}: row {index} of {COLUMN!r} is {row!r:.40}, no text; take another"
            )
    # rows are lines, or documents that do not say where they end
    whole = "".join(row if row.endswith("\n") or not row else f"{row}\n" for row in rows)
    return Text(whole, f"{described} of the Hugging Face hub")
