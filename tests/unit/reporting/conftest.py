"""Made-up scores that tables and pictures are made from."""

import json

import pandas as pd
import pytest

from pipeline.reporting.scores import COLUMNS

POLICY = {"width": 32, "context_length": 4}
TRAINED = {"training": {"batch_size": 8}, "learned_steps": 4}
SETTINGS = json.dumps({"policy": POLICY, **TRAINED, "method": "any", "observation": "embeddings"})
RETURNS = {
    ("breakout", "random"): [[1, 1, 2, 0], [2, 0, 1, 1]],
    ("breakout", "more3s"): [[30, 10, 20, 20], [40, 20, 30, 30]],
    ("breakout", "my_method"): [[3, 3, 3, 3], [5, 5, 5, 5]],
    ("pong", "random"): [[-21, -20, -21, -20], [-20, -21, -20, -21]],
    ("pong", "more3s"): [[0, 2, 4, 6], [0, 2, 4, 6]],
    ("pong", "my_method"): [[10, 12, 14, 16], [10, 12, 14, 16]],
}


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = []
    for (dataset, method), per_seed in RETURNS.items():
        for seed, returns in enumerate(per_seed):
            for episode, value in enumerate(returns):
                rows.append(
                    {
                        "dataset": dataset,
                        "method": method,
                        "variant": "default",
                        "seed": seed,
                        "checkpoint": "last",
                        "step": 0 if method == "random" else 100,
                        "episode": episode,
                        "reset_seed": 10_000 + 1000 * seed + episode,
                        "noops": 0,
                        "return": float(value),
                        "length": 100 + 10 * seed + episode,
                        "terminated": True,
                        "weights": "none" if method == "random" else "trained here",
                        "data_source": "recorded",
                        "sampling": "uniform" if method == "random" else "temperature 0.5",
                        "versions": "ale-py 1",
                        "data_mean": {"breakout": 51.0, "pong": 9.5}[dataset],
                        "data_max": 90.0,
                        "target_return": 90.0,
                        "max_episode_steps": 2000,
                        "known_starts": "[]",
                        "ended_as_recorded": "[]",
                        "still_limit": 75,
                        "still_steps_longest": 3,
                        "still_share": 0.05,
                        "serving": "{}",
                        "settings": "{}" if method == "random" else SETTINGS,
                    }
                )
    return pd.DataFrame(rows)[list(COLUMNS)]
