"""JOWA (Cheng et al. 2024, arXiv 2410.00564) on the feature cache: one transformer is the world
model of one or several games and reads their values, and plans in what it imagines.

What enters: O_t as masked tokens, and the actions, rewards and ends of windows. What leaves: logits
Q(s, a) / τ or, with a planner, the first action of the best plan. Only JOWA's equations are taken,
none of its code; what differs, and why, is in docs/several_games.md.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from pipeline.config.methods.jowa import Settings
from pipeline.methods import Moment
from pipeline.methods._jowa_values import JowaLearner
from pipeline.methods._world_errors import world_errors
from pipeline.nn.kv_cache import TransformerState
from pipeline.nn.step_world import Imagination, Step, StepWorld
from pipeline.observations.batch import Batch


class JOWA(JowaLearner[Step]):
    """The learner; see the module. Of each game's statistics see `StepWorld`."""

    settings: Settings

    def make_world(self, told: tuple[Mapping[str, Any], ...], actions: int) -> None:
        """One token a step."""
        self.world = StepWorld(self.settings, self.spec.shape["tokens"][1], told, actions)

    def optimised(self) -> Mapping[str, nn.Module]:
        """World and Q together; V, which reads the trunk as it is, on its own."""
        return {"policy": nn.ModuleList([self.world, self.q]), "value": self.value}

    # Losses.

    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """World and values from the first update on."""
        return self.joint_losses(batch)

    def world_error(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Of the next x, the reward's sign and the end; and of the embeddings."""
        decoded = parts["decoder_error"] + parts["imagined_error"]
        errors = parts["latent_error"] + parts["reward_error"] + parts["end_error"]
        return errors + self.settings.decoder_loss_weight * decoded

    def parts(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """See `JowaLearner`."""
        x = self.world.encode(batch.observation, batch.task)  # (B, K, width)
        hidden = self.world.hidden(x, batch.task, batch.timesteps, batch.mask)
        q, values = self.value_errors(hidden, batch)
        return q, {**world_errors(self.world, x, hidden, batch), **values}

    # Act, and imagine.

    def start(self, episodes: int) -> TransformerState:
        """Nothing is remembered before the first step."""
        return TransformerState()

    def act(self, moment: Moment, state: TransformerState) -> tuple[Tensor, TransformerState]:  # type: ignore[override]
        """Q / τ, or the first action of the best plan."""
        x = self.world.encode(moment.observation, moment.task)[:, 0]
        now = self.world.step(x, moment.task, moment.timestep, state)
        if self.settings.planner.horizon:
            return self.planned(now, moment), now.memory
        return self.preferred(now.hidden, now.task), now.memory

    def follow(self, now: Step, actions: Tensor) -> tuple[Step, Imagination]:
        """One token more."""
        return self.world.imagine(now, actions)
