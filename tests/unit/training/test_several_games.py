"""Training on several games at once: how their data are put together, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from games import JOINT, LENGTHS, SPACES, TASKS, config_of, data_of, recorded
from policies import acted

from pipeline.data.together import concatenated, renumbered
from pipeline.environments.action_space import places
from pipeline.errors import PipelineError
from pipeline.observations.window_indices import sample_ends, split_episodes
from pipeline.reporting.trainings import late_gain, read_curve
from pipeline.training import checkpoint, loop, preparation
from pipeline.training.curve import write_curve
from pipeline.training.held_out_metrics import draw_held_out, split_steps


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> Any:
    return preparation.prepare(config_of(), recorded(monkeypatch), seed=0, tasks=TASKS)


def test_actions_go_by_name_and_episodes_stay_as_they_are() -> None:
    parts = [data_of(game) for game in (0, 1)]
    numbered = [renumbered(p, s, JOINT) for p, s in zip(parts, SPACES, strict=True)]
    for part, space, new in zip(parts, SPACES, numbered, strict=True):
        names = [space.names[action] for action in part.actions]
        assert [JOINT.names[action] for action in new.actions] == names
    both = concatenated(numbered)
    assert both.episode_length.tolist() == [*LENGTHS[0], *LENGTHS[1]]
    assert both.source == "game 0; game 1"
    returns = np.concatenate([part.returns_to_go for part in parts])
    np.testing.assert_array_equal(both.returns_to_go, returns)
    assert both.observations is None
    assert both.seed is not None
    assert len(both.state_sha256 or ()) == len(both.score)


def test_a_window_is_what_the_game_alone_has(
    prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = prepared[1]
    first = 0
    for game in (0, 1):
        alone, _ = preparation.open_windows(config_of(), recorded(monkeypatch, [game]))
        ends = np.arange(sum(LENGTHS[game]))
        expected, batch = alone.batch(ends), windows.batch(first + ends)
        first += len(ends)
        assert (batch.task == game).all()
        real, place = batch.mask, torch.from_numpy(places(SPACES[game], JOINT))
        assert torch.equal(real, expected.mask)
        for name in ("rewards", "returns_to_go", "timesteps", "terminal"):
            assert torch.equal(getattr(batch, name), getattr(expected, name)), name
        for name in ("actions", "previous_actions"):
            numbered = place[getattr(expected, name)]
            assert torch.equal(getattr(batch, name)[real], numbered[real]), name
        frames = batch.observation["frames"], expected.observation["frames"]
        assert torch.equal(*frames)
    scales = [np.abs(data_of(game).returns_to_go).max() for game in (0, 1)]
    assert windows.return_scale.tolist() == pytest.approx(scales)


def test_a_method_is_told_of_each_game(prepared: Any) -> None:
    learner, _, description = prepared
    spec = learner.spec
    assert (spec.tasks, spec.actions, spec.joint) == (TASKS, SPACES, JOINT)
    assert [each["pixel_std"] for each in spec.per_task] == [2.0, 3.0]
    assert spec.per_task[1]["trajectories"].actions.max() == JOINT.names.index("RIGHT")
    # around the mean of both, whose distance to each is 5
    assert spec.statistics["pixel_std"] == pytest.approx(np.sqrt((4 + 9) / 2 + 25))
    assert "return_scale" not in spec.statistics
    assert learner.encoder.std.tolist() == [2.0, 3.0]
    assert description.tasks == list(TASKS)


def test_every_game_is_drawn_equally_often() -> None:
    groups = [np.arange(1000), np.array([2000]), np.arange(3000, 3010)]
    generator, counts = np.random.default_rng(0), np.zeros(3, np.int64)
    for _ in range(60):
        of = sample_ends(generator, groups, 16) // 1000 - np.array([0])
        here = np.bincount(np.where(of == 0, 0, of - 1), minlength=3)
        assert sorted(here.tolist()) == [5, 5, 6]
        counts += here
    assert counts.min() > 300  # and none is favoured where the batch cannot be shared
    (one,) = (sample_ends(np.random.default_rng(1), groups[:1], 9),)
    assert one.tolist() == groups[0][np.random.default_rng(1).integers(1000, size=9)].tolist()


def test_of_every_game_whole_episodes_are_held_out(prepared: Any) -> None:
    windows = prepared[1]
    settings = config_of(held_out_fraction=0.3).training
    held_out = split_steps(windows, settings, seed=3)[1]
    expected = np.concatenate(
        [np.repeat(split_episodes(len(each), 0.3, 3), each) for each in LENGTHS]
    )
    assert held_out.tolist() == np.flatnonzero(expected).tolist()
    drawn = draw_held_out(windows, settings, seed=3)
    assert all(len(batch.task.unique()) == 1 for batch in drawn.batches)
    assert {int(batch.task[0]) for batch in drawn.batches} == {0, 1}
    trained = np.flatnonzero(~expected)
    for game, steps in enumerate(windows.by_task(trained)):
        counts = np.bincount(windows.trajectories.actions[steps])
        assert drawn.constant[game] == counts.argmax()


def test_a_curve_has_a_column_per_game_and_a_checkpoint_says_what_play_needs(
    prepared: Any, tmp_path: Path
) -> None:
    learner, windows, description = prepared
    rows = loop.train(learner, windows, config_of(held_out_fraction=0.3).training, 0)
    columns = rows[-1].held_out
    names = [f"held_out_accuracy_{task}" for task in TASKS]
    assert all(0 <= columns[name] <= 1 for name in names)
    low, high = sorted(columns[name] for name in names)
    assert low <= columns["held_out_accuracy"] <= high
    assert {f"majority_accuracy_{task}" for task in TASKS} <= columns.keys()
    path = tmp_path / "policy.safetensors"
    checkpoint.save(path, learner, description)
    loaded, told = checkpoint.load(path, config_of())
    assert told == description
    spec = loaded.spec
    assert (spec.tasks, spec.actions, spec.joint) == (TASKS, SPACES, JOINT)
    assert [told.of(game)["return_scale"] for game in (0, 1)] == windows.return_scale.tolist()
    assert torch.equal(spec.allowed, learner.spec.allowed)
    batch = windows.batch(np.arange(5, 60, 7))
    learner.eval()
    with torch.no_grad():
        assert torch.equal(loaded.read(batch)[0], learner.read(batch)[0])  # type: ignore[arg-type]


def test_what_a_game_lacks_is_never_chosen_and_the_game_matters(prepared: Any) -> None:
    learner, windows, _ = prepared
    batch = windows.batch(np.arange(5, 90, 9))
    read = learner.eval().read(batch)[0]
    forbidden = ~learner.spec.allowed[batch.task]
    assert (read.softmax(dim=-1).transpose(0, 1)[:, forbidden] == 0).all()
    assert forbidden.any()
    torch.nn.init.normal_(learner.game.weight)
    assert not torch.equal(read, learner.read(batch)[0])


def test_what_cannot_be_trained_on_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    both = recorded(monkeypatch)
    with pytest.raises(PipelineError, match=r"^behaviour_cloning is trained on one game at a time"):
        preparation.prepare(config_of("behaviour_cloning"), both, seed=0, tasks=TASKS)
    with pytest.raises(PipelineError, match=r"^2 recordings for 1 tasks; give one for each of"):
        preparation.prepare(config_of(), both, seed=0)
    with pytest.raises(PipelineError, match="environments of several families"):
        preparation.environments.joint_actions(
            [
                both[0].environment,
                both[0].environment.model_copy(update={"family": "atari"}),
            ],
            "left, right",
        )
    paths = [Path("a"), Path("b")]
    with pytest.raises(PipelineError, match="1 environments, 2 trajectories and 2 observations"):
        preparation.recordings([both[0].environment], paths, paths)


def test_one_game_with_the_outputs_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, windows, description = preparation.prepare(
        config_of(), recorded(monkeypatch, [1]), seed=0, tasks=TASKS[1:]
    )
    assert learner.spec.joint is not None
    assert description.tasks == ["right"]
    assert (windows.batch(np.arange(5)).task == 0).all()
    alone, _, told = preparation.prepare(config_of(), recorded(monkeypatch, [1]), seed=0)
    assert alone.spec.joint is None  # nor is a name needed
    assert {"joint", "per_task"}.isdisjoint(told.as_dict())
    alone.read(windows.batch(np.arange(5)))


def test_acting_equals_a_pass_over_the_whole_episode(prepared: Any) -> None:
    """Of both games in one batch."""
    learner, windows, _ = prepared
    torch.nn.init.normal_(learner.game.weight)
    learner.eval()
    ends = np.array([8, sum(LENGTHS[0]) + 13])  # nine steps from the start of an episode of each
    whole = replace(windows, settings=learner.settings.model_copy(update={"context_length": 9}))
    episode = whole.batch(ends)
    assert episode.mask.all()
    assert episode.task.tolist() == [0, 1]
    with torch.no_grad():
        expected = learner.read(episode)[0]
    for t, logits in enumerate(acted(learner, episode)):
        torch.testing.assert_close(logits, expected[:, t], atol=1e-5, rtol=1e-5)


def test_without_updates_a_policy_stays_as_it_begins(prepared: Any, tmp_path: Path) -> None:
    learner, windows, _ = prepared
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    for fraction, measured in ((0.3, True), (0.0, False)):
        settings = config_of(held_out_fraction=fraction, steps=0, weight_average=0.9).training
        (row,) = loop.train(learner, windows, settings, 0)
        assert row.step == 0
        assert np.isnan(row.train_loss["policy"])
        assert np.isfinite(row.held_out["held_out_accuracy"]) == measured
        write_curve(tmp_path / "curve.csv", [row])
        assert np.isnan(late_gain(read_curve(tmp_path / "curve.csv")))
    for name, tensor in learner.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_training_begins_with_weights_of_other_games(
    prepared: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A game that the first one had keeps its row; another begins with the mean of all."""
    old, _, description = prepared
    path = tmp_path / "policy"
    checkpoint.save(path, old, description)
    config = config_of(initial_weights="run:both/multi_task_bc/default")
    # as a console's games, which all have the same outputs
    monkeypatch.setattr(preparation.environments, "joint_actions", lambda *_: JOINT)
    for task, row in (("right", old.game.weight[1]), ("up", old.game.weight.mean(dim=0))):
        recordings = recorded(monkeypatch, [1])
        told = (config, recordings, 5, "cpu", None, (task,))
        learner, _, described = preparation.prepare(*told, first=path)
        torch.testing.assert_close(learner.game.weight, row[None])
        assert learner.encoder.std.tolist() == [3.0]  # of its own data
        for name, tensor in old.state_dict().items():
            if name not in ("game.weight", "encoder.mean", "encoder.std"):
                assert torch.equal(learner.state_dict()[name], tensor), name
        assert described.weights == "none; policy trained here from multi_task_bc of left, right"
    with pytest.raises(PipelineError, match="no policy was given; give --first-policy"):
        preparation.prepare(*told)
    with pytest.raises(PipelineError, match=r"policy: actions\.embed\.weight is \(4, 16\), not"):
        preparation.prepare(config, recorded(monkeypatch, [1]), 5, first=path)
