"""Draw how a trained policy's attention spreads over the steps before, on held-out windows."""

from argparse import Namespace

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.data import trajectories
from pipeline.io.atomic import replacing
from pipeline.observations.windows import Windows
from pipeline.reporting.figures import attention
from pipeline.stages import StageParser, execute
from pipeline.training import checkpoint
from pipeline.training.held_out_metrics import draw_held_out
from pipeline.training.preparation import open_observations

parser = StageParser(__doc__)
parser.sections(method=MethodConfig, environment=EnvironmentConfig)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--title", required=True)
parser.inputs("policy", "observations", "trajectories")
parser.outputs("output", help="PNG")


def main(arguments: Namespace) -> None:
    """Load, measure, draw."""
    config, seed = arguments.method, arguments.seed
    game = environments.make(arguments.environment)
    data = trajectories.load(arguments.trajectories)
    policy, description = checkpoint.load(arguments.policy, config)
    store = open_observations(config, game, data, arguments.observations)
    windows = Windows(data, store, game.actions, description.return_scale, config.policy)
    held_out = draw_held_out(windows, config.training, seed).batches
    with replacing(arguments.output) as temporary:
        attention.draw(attention.measure(policy, held_out), arguments.title, temporary)


if __name__ == "__main__":
    execute(main, parser)
