"""One policy of several games in play: actions go by name, and another game is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from games import JOINT, SPACES, TASKS, config_of
from numpy.typing import NDArray
from policies import PIXELS

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig, FeaturesConfig
from pipeline.environments.action_space import ActionSpace, Numbering
from pipeline.errors import PipelineError
from pipeline.evaluation.rollout import PolicyPlayer, play
from pipeline.evaluation.run import load_policy
from pipeline.methods import Moment, Spec, make
from pipeline.observations import LiveStep, ObserverInputs
from pipeline.training import checkpoint

CATCH = EnvironmentConfig(
    family="catch", game="catch", max_noops=20, random_score=-5, reference_score=6
)
OWN = ActionSpace(("NOOP", "RIGHT", "LEFT"))
CHOICES = ActionSpace(("FIRE", "LEFT", "NOOP", "UP", "RIGHT"), noop=2)
SEEDS = [11, 12, 13]


class Blind:
    def observe(self, live: LiveStep) -> Any:
        return {"frame": torch.from_numpy(live.frames.copy())}


class Drawn:
    """Logits of the game's own actions that depend on the frame and on the last action."""

    def __init__(self, space: ActionSpace, indices: bool = False) -> None:
        self.space, self.indices, self.seen = space, indices, list[Moment]()

    def start(self, episodes: int) -> Any:
        return self

    def select(self, rows: torch.Tensor) -> Any:
        return self

    def act(self, moment: Moment, state: Any) -> Any:
        self.seen.append(moment)
        names = [self.space.names[int(a)] for a in moment.previous_action]
        before = torch.tensor([OWN.names.index(name) for name in names])
        content = moment.observation["frame"].double().flatten(1).sum(dim=1)
        own = torch.stack([torch.sin(content * (i + 1) + before) for i in range(3)], dim=1)
        if self.indices:
            chosen = own.argmax(dim=1)
            told = [self.space.names.index(OWN.names[int(each)]) for each in chosen]
            return torch.tensor(told), state
        logits = torch.full((len(own), self.space.size), 9.0).double()  # nothing forbids them
        for i, name in enumerate(OWN.names):
            logits[:, self.space.names.index(name)] = own[:, i]
        return logits, state


def played(policy: Drawn, temperature: float, **told: Any) -> Any:
    player = PolicyPlayer(policy, Blind(), 3, 6, 6, **told)  # type: ignore[arg-type]
    games = [environments.make(CATCH) for _ in SEEDS]
    return play(player, games, SEEDS, CATCH.max_noops, 60, temperature)


@pytest.mark.parametrize("indices", [False, True])
def test_it_plays_as_a_policy_of_the_game_alone_would(indices: bool) -> None:
    numbering = Numbering(OWN, CHOICES)
    alone = played(Drawn(OWN, indices), 1.0)
    policy = Drawn(CHOICES, indices)
    assert played(policy, 1.0, task=2, numbering=numbering) == alone
    assert policy.seen[0].previous_action.flatten().tolist() == [2, 2, 2]  # NOOP
    assert policy.seen[0].task.tolist() == [2, 2, 2]


def test_numbers_go_there_and_back_by_name() -> None:
    for space in SPACES:
        numbering, own = Numbering(space, JOINT), np.arange(space.size)
        assert [JOINT.names[i] for i in numbering.choice(own)] == list(space.names)
        np.testing.assert_array_equal(numbering.decision(numbering.choice(own)), own)
        logits: NDArray[np.float64] = np.random.default_rng(0).normal(size=(2, JOINT.size))
        np.testing.assert_array_equal(
            numbering.decision(logits), logits[:, [JOINT.names.index(n) for n in space.names]]
        )
    with pytest.raises(
        ValueError, match=r"RIGHT was chosen, and the game has NOOP, FIRE, LEFT only"
    ):
        Numbering(SPACES[0], JOINT).decision(np.array([0, 3]))


def test_the_console_s_order_fits_a_game_that_was_left_out() -> None:
    atari = [
        EnvironmentConfig(family="atari", game=game, random_score=0, reference_score=1)
        for game in ("Pong", "Breakout")
    ]
    both = environments.joint_actions(atari, "both")
    assert both == environments.joint_actions(atari[:1], "one")
    assert both.size == 18
    assert both.names[:3] == ("NOOP", "FIRE", "UP")


def test_a_policy_is_told_what_it_plays_and_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    config, path = config_of(), tmp_path / "policy"
    per_task = ({"return_scale": 3.0}, {"return_scale": 5.0})
    spec = Spec(TASKS, SPACES, PIXELS, {}, per_task, JOINT)
    checkpoint.save(path, make(config, spec), checkpoint.describe(config, 0, 1.0, spec))
    inputs = ObserverInputs(FeaturesConfig())
    loaded = load_policy(path, config, inputs, "right")
    assert (loaded.task, loaded.actions) == (1, SPACES[1])
    player: Any = loaded.player(2, 10.0)
    assert (player._scale, player._numbering) == (5.0, Numbering(SPACES[1], JOINT))
    with pytest.raises(PipelineError, match=r"policy: not trained on up; it plays left, right"):
        load_policy(path, config, inputs, "up")
    with pytest.raises(PipelineError, match=r"several games; name one with --task: left, right$"):
        load_policy(path, config, inputs)
    alone = replace(spec, tasks=("Left",), actions=SPACES[:1], per_task=(), joint=None)
    checkpoint.save(path, make(config, alone), checkpoint.describe(config, 0, 1.0, alone))
    assert load_policy(path, config, inputs).task == 0
    with pytest.raises(PipelineError, match="trained on one game, Left; play it without --task"):
        load_policy(path, config, inputs, "left")
