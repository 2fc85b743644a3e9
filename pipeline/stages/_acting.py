"""The options that all stages which play a trained policy share, and what they open."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pipeline.config.schema import (
    DatasetConfig,
    EnvironmentConfig,
    EvaluationConfig,
    FeaturesConfig,
    MethodConfig,
)
from pipeline.data import trajectories
from pipeline.evaluation import action_rule
from pipeline.evaluation.run import EvaluationProtocol, LoadedPolicy, load_policy
from pipeline.observations import ObserverInputs
from pipeline.stages import Input
from pipeline.stages._device import Device


@dataclass(frozen=True, kw_only=True)
class Acting:
    """A part of the signature of such a stage."""

    method: MethodConfig
    features: FeaturesConfig
    environment: EnvironmentConfig
    dataset: DatasetConfig
    seed: int
    encoder: Annotated[Input | None, "for a method that reads embeddings"] = None
    prompts: Annotated[Input | None, "for a method that reads embeddings"] = None
    detector_weights: Annotated[
        Input | None, "for a detector with published weights: folder of retrieve"
    ] = None
    action_rule: Annotated[
        Input | None, "if evaluation.choose_from has rules: the best one, as JSON"
    ] = None
    trajectories: Annotated[Input, "trajectories, of this game, that the policy was trained on"]
    task: Annotated[
        str | None, "for a policy of several games: which is played, as its training called it"
    ] = None
    device: Device = "cpu"

    @cached_property
    def chosen(self) -> tuple[EvaluationConfig, str]:
        """The evaluation, by the rule that was chosen if one was, and what a table says of that."""
        if self.action_rule is None:
            return self.method.evaluation, ""
        return action_rule.read(self.action_rule, self.method.evaluation)

    @property
    def evaluation(self) -> EvaluationConfig:
        """How the policy is played."""
        return self.chosen[0]

    def protocol(
        self, evaluation: EvaluationConfig, max_steps: int | None = None
    ) -> EvaluationProtocol:
        """The episodes to play, cut at `max_steps` where the data set does not cut them before."""
        longest = self.dataset.max_episode_steps
        steps = longest if max_steps is None else min(max_steps, longest)
        data = trajectories.load(self.trajectories)
        return EvaluationProtocol(self.environment, evaluation, data, steps, self.seed)

    def load(self, policy: Path) -> LoadedPolicy:
        """The policy of a checkpoint, ready to play."""
        weights = self.encoder, self.prompts, self.detector_weights
        inputs = ObserverInputs(self.features, *weights, self.device)
        return load_policy(policy, self.method, inputs, self.task)
