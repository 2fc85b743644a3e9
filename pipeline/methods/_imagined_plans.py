"""How JOWA's and MORE-3S's plans are asked for: `pipeline.nn.imagination.plan` by settings."""

from typing import TypeVar

from torch import Tensor

from pipeline.config.methods._planner import BeamSettings
from pipeline.methods import Moment
from pipeline.nn.beam_search import Rows
from pipeline.nn.imagination import Model, plan
from pipeline.nn.latent_search import gumbel

Node = TypeVar("Node", bound=Rows)


def planned_action(
    model: Model[Node],
    now: Node,
    moment: Moment,
    planner: BeamSettings,
    *,
    discount: float,
    actions: int,
) -> Tensor:
    """The first action (B,) int64 of the best plan of each episode, of so many `actions`.

    With a temperature, Gumbel noise of that scale goes to log π of first actions. Where all plans
    are worth the same, these are then draws from softmax(log π / temperature).
    """
    drawn = planner.temperature > 0
    best, _ = plan(
        model,
        now,
        episodes=len(moment.task),
        horizon=planner.horizon,
        beams=planner.beams,
        prior_weight=planner.prior_weight,
        discount=discount,
        noise=planner.temperature * gumbel(moment.noise(actions)) if drawn else None,
    )
    return best
