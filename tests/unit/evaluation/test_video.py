"""What is drawn into a video: boxes, and how much of the policy's attention each has."""

import numpy as np
import pytest
import torch
from policies import policy_of

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig
from pipeline.evaluation.rollout import Choice, PolicyPlayer
from pipeline.evaluation.video import OPAQUE, Picture, VideoRecorder, enlarged, opacities
from pipeline.nn.token_pooling import AttentionPooling, region_attention

LEFT, RIGHT = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]
BLACK = np.zeros((32, 64, 3), np.uint8)


def test_shading_is_in_proportion_to_attention() -> None:
    assert opacities(np.array([0.1, 0.4, 0.0, 0.5]), 3) == [round(OPAQUE / 4), OPAQUE, 0]


@pytest.mark.parametrize("attention", [None, np.array([1.0]), np.zeros(2)])
def test_without_attention_of_each_region_nothing_is_shaded(
    attention: np.ndarray | None,
) -> None:
    assert opacities(attention, 2) == [0, 0]
    assert opacities(attention, 0) == []


def test_the_region_that_is_looked_at_is_brighter() -> None:
    picture = enlarged(BLACK, [LEFT, RIGHT], np.array([0.2, 0.8, 0.0])).astype(int)
    middle, width = picture.shape[0] // 2, picture.shape[1]
    left, right = picture[middle, width // 4], picture[middle, 3 * width // 4]
    assert 0 < left.sum() < right.sum()
    plain = enlarged(BLACK, [LEFT, RIGHT])
    assert plain[middle, width // 4].sum() == plain[middle, 3 * width // 4].sum() == 0


def test_attention_is_that_of_the_pooling() -> None:
    """Regions' shares are one in all, none is at a region that is not there, and they move to what
    the queries ask for.
    """
    torch.manual_seed(0)
    policy = torch.nn.Module()
    policy.pool = AttentionPooling(text_tokens=2, embed=5, queries=3, width=6)
    tokens, mask = torch.randn(1, 1, 6, 5), torch.ones(1, 1, 6, dtype=torch.bool)
    mask[..., 5] = False
    before = region_attention(policy, {"tokens": tokens, "mask": mask})
    assert before is not None
    assert before.shape == (1, 1, 4)
    assert before.sum().item() == pytest.approx(1)
    assert before[0, 0, 3] == 0
    with torch.no_grad():
        policy.pool.queries[1] = 9 * tokens[0, 0, 3] / tokens[0, 0, 3].norm()  # the second region
    after = region_attention(policy, {"tokens": tokens, "mask": mask})
    assert after is not None
    assert after[0, 0].argmax() == 1


def test_a_video_shades_what_the_policy_looks_at() -> None:
    class Observer:
        def boxes(self, row: int) -> list[list[float]]:
            return [LEFT, RIGHT]

    game = environments.make(
        EnvironmentConfig(family="catch", game="Catch", random_score=0, reference_score=1)
    )
    game.reset(0, 0)
    pictures: list[Picture] = []
    recorder = VideoRecorder(2, Observer(), game.actions, pictures.append)
    for attention in (None, np.array([0.0, 1.0])):
        recorder.record(game, Choice(0, 0, 0.0, attention=attention))
    size = enlarged(game.frame(), ()).shape
    plain, shaded = (picture[: size[0]].astype(int).sum(axis=(0, 2)) for picture in pictures)
    half = size[1] // 2
    assert plain[10 : half - 10].tolist() == shaded[10 : half - 10].tolist()
    assert (shaded[half + 10 : -10] > plain[half + 10 : -10]).all()


def test_a_policy_without_regions_says_nothing() -> None:
    player = PolicyPlayer(policy_of("behaviour_cloning"), None, 1, 0.0, 1.0)  # type: ignore[arg-type]
    assert player.attention(0) is None
