"""Bundles to and from the Hugging Face Hub."""

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from pipeline.errors import PipelineError
from pipeline.evaluation import bundle as bundles


def push(
    folder: str | Path, repository: str, private: bool = False, endpoint: str | None = None
) -> str:
    """Upload a bundle's own files to the model repository `owner/name`, which is made if there is
    none; returns the commit's address.

    Who uploads is told by `hf auth login` or HF_TOKEN. `endpoint` is another hub than that of
    HF_ENDPOINT. Raises PipelineError where the folder is no whole bundle, or the hub refuses.
    """
    place = Path(folder)
    files = [*bundles.read(place).files, bundles.MANIFEST, bundles.CARD]
    api = HfApi(endpoint=endpoint)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=place,
            allow_patterns=files,
            commit_message="A bundle of a trained policy",
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise _refused(repository, error) from None
    return str(done.commit_url)


def pull(
    repository: str,
    revision: str | None = None,
    endpoint: str | None = None,
    offline: bool = False,
) -> Path:
    """The folder of a bundle of the hub, downloaded into the hub's cache; `offline` takes what is
    there. Give it to `load`.

    Of the repository only files that a bundle may have are taken. Raises PipelineError where the
    hub refuses, and where they are no whole bundle.
    """
    kinds = [
        f"{part}/*{suffix}" if part in (bundles.ENCODER, bundles.DETECTOR) else part
        for part, suffixes in bundles.PARTS.items()
        for suffix in suffixes
    ]
    api = HfApi(endpoint=endpoint)
    try:
        folder = api.snapshot_download(
            repository,
            revision=revision,
            allow_patterns=[*kinds, bundles.MANIFEST, bundles.CARD],
            local_files_only=offline,
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise _refused(repository, error) from None
    bundles.read(Path(folder))
    return Path(folder)


def _refused(repository: str, error: Exception) -> PipelineError:
    cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return PipelineError(f"{repository}: the hub refused: {cause}; check the name and your token")
