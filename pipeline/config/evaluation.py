"""The section of the configuration that says how a trained policy is played."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.data import EnvironmentConfig
from pipeline.config.section import LARGEST_SEED, SEEDS_APART, Distinct, Section, Seed, only
from pipeline.errors import PipelineError

TargetReturn = Annotated[
    float | Literal["data_max", "data_mean"], only("a number, data_max or data_mean")
]


class ActionRule(Section):
    """How a discrete action is chosen from a policy's logits."""

    temperature: float = Field(
        0.0,
        ge=0,
        description="temperature of the softmax from which actions are sampled; 0: arg-max",
    )
    epsilon: float = Field(
        0.0, ge=0, le=1, description="probability that a uniformly random action is played instead"
    )


class EvaluationConfig(ActionRule):
    """Closed-loop play after training."""

    episodes: int = Field(10, ge=1, le=SEEDS_APART)
    first_seed: Seed = Field(
        10_000,
        description="episode i is reset with first_seed + 1000·seed + i, never with the seed of a "
        "training episode",
    )
    temperature: float = Field(
        0.5,
        ge=0,
        description="temperature of the softmax from which actions are sampled; 0: arg-max",
    )
    sticky_actions: float | None = Field(
        None,
        ge=0,
        le=1,
        description="replaces the environment's `sticky_actions` in play; a policy that only "
        "follows recorded episodes does not survive it",
    )
    choose_from: Distinct[ActionRule] = Field(
        [],
        description="rules that a policy trained with `choosing_seed` is played by; the one with "
        "the best mean return replaces `temperature` and `epsilon`",
    )
    choosing_seed: int = Field(
        1000,
        ge=0,
        description="training seed of the policy that the rule is chosen with; no table may have "
        "it",
    )
    choosing_episodes: int = Field(
        5, ge=1, le=SEEDS_APART, description="number of episodes played by each rule"
    )
    target_return: TargetReturn = Field(
        "data_max",
        description="R̂ at the start of an episode; a number, or taken from the training data",
    )
    checkpoint_episodes: int = Field(
        5,
        ge=1,
        le=SEEDS_APART,
        description="number of episodes that each checkpoint before the last is played for",
    )
    video_steps: int = Field(
        10_000,
        ge=1,
        description="largest number of steps of the first episode that the rollout video shows; "
        "the data set's max_episode_steps cuts an episode too",
    )

    def played(self, environment: EnvironmentConfig) -> EnvironmentConfig:
        """`environment` with what is played otherwise."""
        if self.sticky_actions is None:
            return environment
        return environment.model_copy(update={"sticky_actions": self.sticky_actions})

    def reset_seeds(self, seed: int) -> list[int]:
        """Reset seeds of the episodes of training seed `seed`: disjoint between seeds.

        Raises PipelineError where the last is more than every environment takes.
        """
        first = self.first_seed + SEEDS_APART * seed
        seeds = range(first, first + self.episodes)
        if seed < 0 or seeds[-1] > LARGEST_SEED:
            largest = (LARGEST_SEED + 1 - self.first_seed - self.episodes) // SEEDS_APART
            cure = f"allowed: seeds from 0 to {largest:,} with" if largest >= 0 else "lower"
            raise PipelineError(
                f"seed {seed}: {self.episodes} episodes would be reset with {first:,} and more; "
                f"environments take 0 to {LARGEST_SEED:,}; {cure} evaluation.first_seed "
                f"{self.first_seed:,}"
            )
        return list(seeds)

    def fewer(self) -> "EvaluationConfig":
        """The same for a checkpoint before the last: with `checkpoint_episodes` episodes."""
        return self.model_copy(update={"episodes": self.checkpoint_episodes})
