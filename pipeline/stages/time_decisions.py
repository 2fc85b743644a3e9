"""Time the decisions of a trained policy, alone and in lock-step, and of other horizons."""

from typing import Annotated

from pipeline.config.schema import TimingConfig
from pipeline.evaluation.decision_time import Stopwatch
from pipeline.hardware import host
from pipeline.io.atomic import replacing
from pipeline.stages import Input, Lower, Output, execute
from pipeline.stages._acting import Acting


def time_decisions(
    *,
    policy: Input,
    acting: Acting,
    timing: Annotated[TimingConfig, Lower("timing.episodes")],
    decisions: Annotated[Output, "CSV"],
) -> None:
    """Load, play and time, write."""
    stopwatch = Stopwatch(acting.protocol(acting.evaluation), timing)
    measured = stopwatch.measure(acting.load(policy), acting.method)
    with replacing(decisions) as temporary:
        told = measured.assign(host=host.summary())
        told.to_csv(temporary, index=False, float_format="%.4g", encoding="utf-8")


if __name__ == "__main__":
    execute(time_decisions)
