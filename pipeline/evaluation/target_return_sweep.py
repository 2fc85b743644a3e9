"""Play a trained policy under several target returns: does its return follow the target?

Every target is played from the same starts, with the same generators for its actions, so that
episodes differ by the target alone.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.config.schema import SweepConfig
from pipeline.evaluation.run import EvaluationProtocol, LoadedPolicy

COLUMNS = (
    *("factor", "target_return", "episode", "reset_seed", "noops"),
    *("return", "length", "terminated"),
)


def play(protocol: EvaluationProtocol, loaded: LoadedPolicy, sweep: SweepConfig) -> pd.DataFrame:
    """A row per episode, columns COLUMNS: `factor` × the data's best return was asked for.

    All targets' episodes go in one lock-step, which is what keeps a sweep cheap.
    """
    evaluation = protocol.evaluation.model_copy(update={"episodes": sweep.episodes})
    protocol = replace(protocol, evaluation=evaluation)
    games = protocol.games(times=len(sweep.targets))
    factors = np.repeat(sweep.targets, sweep.episodes)  # (targets · episodes,)
    targets = factors * float(protocol.data.score.max())
    player, rule = loaded.player(len(games), targets), evaluation.temperature
    played = protocol.play(player, games, rule, epsilon=evaluation.epsilon)
    numbers = np.tile(np.arange(sweep.episodes), len(sweep.targets))
    rows = [
        (*place, each.reset_seed, each.noops, each.score, each.length, each.terminated)
        for *place, each in zip(factors, targets, numbers, played, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
