"""Play a policy that no table reports by several rules, to choose its temperature and epsilon."""

from typing import Annotated

from pipeline.evaluation.action_rule import choose, write
from pipeline.stages import Input, Lower, Output, execute
from pipeline.stages._acting import Acting


def choose_action_rule(
    *,
    policy: Input,
    acting: Acting,
    chosen: Annotated[
        Output, "JSON: the rule, and all tried", Lower("evaluation.choosing_episodes")
    ],
) -> None:
    """Load, play by each, write."""
    write(chosen, choose(acting.protocol(acting.method.evaluation), acting.load(policy)))


if __name__ == "__main__":
    execute(choose_action_rule)
