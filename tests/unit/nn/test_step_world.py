"""The world model of step tokens: copying at first, one adapter per game, imagined steps."""

from typing import Any

import numpy as np
import torch
from policies import EMBED, REGIONS, TEXT
from torch import nn

from pipeline.config.methods.jowa import Settings
from pipeline.nn.kv_cache import TransformerState
from pipeline.nn.step_world import StepWorld, normalised

ACTIONS, WIDTH = 5, 32


def world_of(games: int = 1, randomised: bool = False, **changes: Any) -> StepWorld:
    torch.manual_seed(0)
    told = [{"text_tokens": TEXT + game} for game in range(games)]
    shape = {"width": WIDTH, "layers": 2, "heads": 2, "context_length": 4, **changes}
    world = StepWorld(Settings(**shape), EMBED, told, ACTIONS)
    if randomised:
        for each in world.parameters():
            nn.init.normal_(each, std=0.3)
    return world.eval()


def observed(batch: int, steps: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    tokens = torch.randn(batch, steps, TEXT + REGIONS, EMBED).half()
    return {"tokens": tokens, "mask": torch.ones(tokens.shape[:3], dtype=torch.bool)}


def test_at_first_the_next_step_is_a_copy() -> None:
    world, task = world_of(), torch.zeros(3, dtype=torch.int64)
    x = world.encode(observed(3, 4), task)
    torch.testing.assert_close(x.mean(dim=-1), torch.zeros(3, 4), atol=1e-5, rtol=0)
    hidden, actions = torch.randn(3, 4, WIDTH), torch.randint(ACTIONS, (3, 4))
    told = world.follow(hidden, x, actions)
    torch.testing.assert_close(told.x, x, atol=1e-4, rtol=1e-4)
    assert told.reward.shape == (3, 4, 3)
    assert told.end.shape == (3, 4)


def test_later_an_action_changes_what_follows() -> None:
    world = world_of(randomised=True)
    hidden, x = torch.randn(ACTIONS, WIDTH), normalised(torch.randn(ACTIONS, WIDTH))
    one, other = (world.follow(hidden[:1], x[:1], torch.tensor([a])) for a in (0, 1))
    assert (one.x - other.x).abs().max() > 1e-3
    assert (one.reward - other.reward).abs().max() > 1e-3
    assert (one.end - other.end).abs().max() > 1e-3


def test_predicting_x_does_not_slow_it_down() -> None:
    """No gradient of what follows goes to the x that it follows from."""
    world = world_of(randomised=True)
    x = torch.randn(2, 3, WIDTH, requires_grad=True)
    hidden = torch.randn(2, 3, WIDTH, requires_grad=True)
    told = world.follow(hidden, x, torch.zeros(2, 3, dtype=torch.int64))
    (told.x.square().sum() + told.reward.sum() + told.end.sum()).backward()
    assert x.grad is None
    assert hidden.grad is not None
    assert hidden.grad.abs().sum() > 0


def test_each_game_has_an_adapter_of_its_own() -> None:
    world, seen = world_of(games=3, randomised=True), observed(4, 2)
    task = torch.tensor([2, 0, 2, 1])
    together = world.encode(seen, task)
    decoded = world.decode(together, task)
    for row, game in enumerate(task.tolist()):
        alone = {name: x[row : row + 1] for name, x in seen.items()}
        adapter = world.adapters[game]
        expected = adapter(alone["tokens"], alone["mask"])
        torch.testing.assert_close(together[row : row + 1], expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(decoded[row], adapter.decode(together[row]))
    same = {name: x[:1].expand(3, *x.shape[1:]) for name, x in seen.items()}
    first, second, third = world.encode(same, torch.arange(3))
    assert (first - second).abs().max() > 0.1
    assert (second - third).abs().max() > 0.1


def test_the_trunk_is_told_the_game_if_asked_to() -> None:
    x, mask = torch.randn(2, 3, WIDTH), torch.ones(2, 3, dtype=torch.bool)
    x[1], task, time = x[0], torch.tensor([0, 1]), torch.arange(3).expand(2, 3)
    for told in (True, False):
        world = world_of(games=2, randomised=True, task_embedding=told)
        first, second = world.hidden(x, task, time, mask)
        assert bool((first - second).abs().max() > 1e-3) == told


def test_an_imagined_step_goes_on_from_the_cache_like_one_that_is_seen() -> None:
    world, task = world_of(randomised=True), torch.zeros(3, dtype=torch.int64)
    x, time = normalised(torch.randn(3, 6, WIDTH)), torch.arange(6).expand(3, 6)
    state = TransformerState()
    with torch.no_grad():
        for t in range(5):
            now = world.step(x[:, t], task, time[:, t : t + 1], state)
            state = now.memory
        actions = torch.tensor([0, 1, 2])
        then, told = world.imagine(now, actions)
        whole = torch.cat((x[:, :5], told.x[:, None]), dim=1)
        expected = world.hidden(whole, task, time, torch.ones(3, 6, dtype=torch.bool))
    torch.testing.assert_close(then.hidden, expected[:, -1], atol=1e-4, rtol=1e-4)
    assert then.timestep.flatten().tolist() == [5, 5, 5]
    rows = torch.tensor([2, 2, 0])
    with torch.no_grad():
        chosen, _ = world.imagine(now.select(rows), actions[rows])
    torch.testing.assert_close(chosen.hidden, then.hidden[rows], atol=1e-5, rtol=1e-4)


def test_statistics_whiten_each_game() -> None:
    told = [
        {
            "text_tokens": TEXT,
            "token_mean": np.full((2, EMBED), m),
            "token_std": np.ones((2, EMBED)),
        }
        for m in (1.0, 2.0)
    ]
    world = StepWorld(Settings(width=WIDTH, heads=2), EMBED, told, ACTIONS)
    assert [float(each.pool.whiten.mean[0, 0]) for each in world.adapters] == [1.0, 2.0]
