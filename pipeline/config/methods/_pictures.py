"""What methods share that cut pictures into squares."""

from pipeline.errors import PipelineError

SIZE = 84
"""Width and height of a picture in pixels."""


def check_squares(patch_size: int) -> None:
    """Raise a PipelineError where squares of that size do not fill a picture."""
    if SIZE % patch_size:
        fitting = ", ".join(str(size) for size in range(6, SIZE) if SIZE % size == 0)
        raise PipelineError(
            f"policy.patch_size: {patch_size} does not divide {SIZE} by {SIZE} pixels; take one "
            f"that does, such as {fitting}"
        )
