"""The video shows an episode, and no more of it than `evaluation.video_steps`."""

from pathlib import Path

import av
from command_line import words
from policies import method_config, policy_of, spec_of

from pipeline.config.schema import (
    DatasetConfig,
    EnvironmentConfig,
    EvaluationConfig,
    FeaturesConfig,
)
from pipeline.data import trajectories
from pipeline.data.sources import scripted
from pipeline.stages import execute
from pipeline.stages.film_policy import film_policy
from pipeline.training import checkpoint

CATCH = EnvironmentConfig(family="catch", game="Catch", random_score=-2, reference_score=6)
DATA = DatasetConfig(environment="catch", source="scripted", episodes=2, max_episode_steps=9)
METHOD = "behaviour_cloning"


def test_the_first_steps_of_the_first_episode(tmp_path: Path) -> None:
    evaluation = EvaluationConfig(episodes=3, video_steps=5)
    method = method_config(METHOD).model_copy(update={"evaluation": evaluation})
    data, policy, video = (tmp_path / name for name in ("t.h5", "policy", "rollout.mp4"))
    trajectories.save(data, scripted.collect(DATA, CATCH, Path()), CATCH, DATA)
    described = checkpoint.describe(method, 0, 6.0, spec_of(METHOD))
    checkpoint.save(policy, policy_of(METHOD), described)
    options = {
        "method": method.as_json(),
        "features": FeaturesConfig().as_json(),
        "environment": CATCH.as_json(),
        "dataset": DATA.as_json(),
        "seed": "0",
        "policy": policy,
        "trajectories": data,
        "video": video,
    }

    execute(film_policy, words(**options))
    with av.open(video) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5
