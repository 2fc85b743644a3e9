"""Behaviour cloning of several games by one policy, as Multi-Game Decision Transformers (Lee et al.
2022, arXiv 2205.15241) and JOWA compare with: the network of `behaviour_cloning`, with an
embedding of the game in every token, and only the game's own actions to choose among.

Every game's frames are standardised by its own data. Each game is drawn as often as any other
(`pipeline/training/loop.py`). On one game it is behaviour cloning with a constant more.
"""

from torch import Tensor, nn

from pipeline.config.methods.multi_task_bc import Settings
from pipeline.methods import Moment, Spec
from pipeline.methods.decision_transformer import DecisionTransformer
from pipeline.nn.kv_cache import TransformerState
from pipeline.nn.masking import only_allowed
from pipeline.nn.per_task import TaskEmbedding
from pipeline.nn.state_encoders import FrameEncoder
from pipeline.observations import Observation
from pipeline.observations.batch import Batch


class MultiTaskBC(DecisionTransformer):
    """The policy; see the module."""

    allowed: Tensor

    def __init__(self, settings: Settings, spec: Spec) -> None:
        super().__init__(settings, spec)
        self.game = TaskEmbedding(len(spec.tasks), settings.width)
        nn.init.normal_(self.game.weight, std=0.02)
        self.register_buffer("allowed", spec.allowed, persistent=False)

    def encoder_of(self, shape: tuple[int, ...], spec: Spec) -> FrameEncoder:
        """Of each game's frames, standardised as its own are."""
        encoder = FrameEncoder(shape, self.settings.width, len(spec.tasks))
        encoder.fit(spec.statistics, spec.per_task or (spec.statistics,))
        return encoder

    def when(self, timesteps: Tensor, task: Tensor) -> Tensor:
        """Time, and the game that is played."""
        game: Tensor = self.game(task)[:, None]
        return super().when(timesteps, task) + game

    def seen(self, observation: Observation, task: Tensor) -> Tensor:
        """s_t of the game that each row is of."""
        state: Tensor = self.encoder(observation[self.observed], task)
        return state

    def predicted(self, batch: Batch) -> Tensor:
        """Logits of a_t, of the game's own actions."""
        return only_allowed(super().predicted(batch), self.allowed[batch.task])

    def act(self, moment: Moment, state: TransformerState) -> tuple[Tensor, TransformerState]:  # type: ignore[override]
        """Logits of the game's own actions."""
        logits, state = super().act(moment, state)
        return only_allowed(logits, self.allowed[moment.task]), state
