"""Played episodes that end as recorded ones did are found; what was cut has no end."""

from dataclasses import replace

import numpy as np
from policies import trajectories_of

from pipeline.config.schema import EnvironmentConfig, EvaluationConfig
from pipeline.evaluation import run as runs
from pipeline.evaluation.episodes import Episode, ended_as_recorded

CATCH = EnvironmentConfig(family="catch", game="catch", random_score=-5, reference_score=6)
RECORDED = [(375.0, 1881), (40.0, 600)]


def test_score_and_length_decide() -> None:
    played = [
        Episode(0, 0, 375.0, 1881, True),
        Episode(1, 0, 375.0, 1893, True),
        Episode(2, 0, 375.0, 1868, True),  # a step too short
        Episode(3, 0, 40.0, 1881, True),  # the length of another one
        Episode(4, 0, 40.0, 605, False),  # cut
        Episode(5, 0, 376.0, 1881, True),
    ]
    assert ended_as_recorded(played, RECORDED) == [0, 1]
    assert ended_as_recorded(played, []) == []


def test_a_recorded_episode_that_was_cut_has_no_end() -> None:
    data = trajectories_of([5, 8])
    data = replace(data, terminated=np.array([True, False]))
    protocol = runs.EvaluationProtocol(CATCH, EvaluationConfig(episodes=2), data, 40, seed=1)
    assert protocol.recorded_ends() == [(data.score[0], 5)]
