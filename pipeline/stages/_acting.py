"""What the stages that play a trained policy are all told, and what they open with it."""

from argparse import Namespace
from pathlib import Path

from pipeline.config.schema import (
    DatasetConfig,
    EnvironmentConfig,
    EvaluationConfig,
    FeaturesConfig,
    MethodConfig,
)
from pipeline.data import trajectories
from pipeline.evaluation.run import EvaluationProtocol, LoadedPolicy, load_policy
from pipeline.hardware import devices
from pipeline.observations import ObserverInputs
from pipeline.stages import StageParser


class ActingParser(StageParser):
    """The command line of a stage that plays what it reads as `played`."""

    def __init__(self, doc: str | None, played: str) -> None:
        super().__init__(doc)
        self.sections(method=MethodConfig, features=FeaturesConfig)
        self.sections(environment=EnvironmentConfig, dataset=DatasetConfig)
        self.add_argument("--seed", type=int, required=True)
        self.add_argument("--device", type=devices.claim, default="cpu", help=devices.HELP)
        self.inputs(played)  # first: whose record says most of what an output is made of
        reads = "for a method that reads embeddings"
        self.inputs("encoder", "prompts", required=False, help=reads)
        published = "where its detector has published ones"
        self.inputs("detector-weights", required=False, help=published)
        self.inputs("trajectories", help="what was trained on")


def course(
    arguments: Namespace, evaluation: EvaluationConfig, max_steps: int | None = None
) -> EvaluationProtocol:
    """The episodes to play, cut at `max_steps` where the data set does not cut them before."""
    longest = arguments.dataset.max_episode_steps
    steps = longest if max_steps is None else min(max_steps, longest)
    data = trajectories.load(arguments.trajectories)
    return EvaluationProtocol(arguments.environment, evaluation, data, steps, arguments.seed)


def actor(arguments: Namespace, policy: Path) -> LoadedPolicy:
    """The policy of a checkpoint, ready to play."""
    inputs = ObserverInputs(
        arguments.features,
        arguments.encoder,
        arguments.prompts,
        arguments.detector_weights,
        arguments.device,
    )
    return load_policy(policy, arguments.method, inputs)
