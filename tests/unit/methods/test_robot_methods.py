"""Methods for robots, which learn from single states and transitions: each on a bandit with two
arms, on data that can be learned by heart, and killed; and what is peculiar to each.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_same_weights, killed
from numpy.typing import NDArray
from policies import SPACE
from torch.distributions import Normal, kl_divergence

from pipeline.config.load import load
from pipeline.config.schema import MethodConfig
from pipeline.data.statistics import discounted_returns
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.methods import Spec, make
from pipeline.methods.awr import td_lambda
from pipeline.methods.brac_v import BRACv
from pipeline.nn.critics import expectile_loss
from pipeline.observations.states import StateStore
from pipeline.observations.windows import Windows
from pipeline.training import loop
from pipeline.training.resume import Resumption

ARMS, SIZE = ActionSpace(("ARM",), continuous=True, low=(-2.0,), high=(2.0,)), 2
SETTINGS: dict[str, dict[str, Any]] = {
    "bc_mlp": {},
    "awr": {"std": 0.2, "horizon": 3},
    "iql": {"target_rate": 0.1},
    "td3_bc": {"target_rate": 0.1, "value_weight": 0.5},
    "brac_v": {"behaviour_steps": 100, "penalty_weight": 0.1, "target_rate": 0.1},
    "cql_continuous": {
        **{"behaviour_steps": 100, "critic_steps": 40, "samples": 2, "tune_entropy": False},
        **{"conservative_weight": 0.5, "target_rate": 0.1, "layer_norm": True},
    },
}
CLONED = ["brac_v", "cql_continuous"]
"""They begin with a cloning phase."""
METHODS = list(SETTINGS)
ROOT = Path(__file__).parents[3]
TRAINING: dict[str, Any] = {
    **{"steps": 300, "batch_size": 64, "learning_rate": 0.005, "final_learning_rate": 0},
    **{"warmup_steps": 5, "weight_decay": 0, "gradient_clip": 10, "evaluate_every": 100},
}


def recorded(
    actions: NDArray[np.floating[Any]],
    rewards: NDArray[np.floating[Any]],
    length: int,
    ended: bool = True,
) -> Trajectories:
    """Episodes of `length` steps with states that mean nothing."""
    steps = len(actions)
    states = np.random.default_rng(1).normal(3, 2, (steps, SIZE)).astype("f4")
    paid = rewards.astype("f4")
    return Trajectories(
        actions=actions.astype("f4")[:, None],
        rewards=paid,
        episode_length=np.full(steps // length, length),
        terminated=np.full(steps // length, ended),
        score=paid.reshape(-1, length).sum(axis=1, dtype=np.float64),
        observations=states,
        source="a bandit",
    )


def bandit() -> Trajectories:
    """Two arms, equally often, at -1 and +1 of the bounds -2 and 2; the upper one pays."""
    generator = np.random.default_rng(0)
    upper = np.arange(400) % 2
    return recorded(2.0 * upper - 1 + 0.1 * generator.normal(size=400), upper, 1)


def trained(
    method: str,
    data: Trajectories,
    training: dict[str, Any] | None = None,
    saved: Resumption | None = None,
    **policy: Any,
) -> tuple[Any, list[Any]]:
    config = MethodConfig.model_validate(
        {"method": method, "policy": {"width": 32, **SETTINGS[method], **policy}}
        | {"training": {**TRAINING, **(training or {})}}
    )
    store = StateStore(data)
    torch.manual_seed(0)
    learner = make(config, Spec(("Bandit",), (ARMS,), store.shape, store.attributes))
    windows = Windows(data, store, ARMS, 1.0, config.policy)
    return learner, loop.train(learner, windows, config.training, 0, saved=saved)


@pytest.mark.parametrize("method", METHODS)
def test_what_learns_from_rewards_prefers_the_better_arm_and_cloning_does_not(method: str) -> None:
    learner, rows = trained(method, bandit())
    with torch.no_grad():
        played = learner.policy.play(3 + 2 * torch.randn(200, SIZE)).mean().item()
    held_out = rows[-1].held_out
    assert all(np.isfinite(value) for value in held_out.values())
    if method == "bc_mlp":
        assert abs(played) < 0.25  # between the arms, where nobody was
        return
    assert 0.5 < played < 1.7
    if "held_out_q" in held_out and method != "cql_continuous":  # which raises Q of what was done
        assert held_out["held_out_q"] == pytest.approx(0.5, abs=0.1)
        assert held_out["held_out_td_error"] < 0.02  # an arm says all of the reward


@pytest.mark.parametrize("method", METHODS)
def test_a_few_transitions_are_learned_by_heart(method: str) -> None:
    generator = np.random.default_rng(2)
    data = recorded(np.tile([-1.5, 1, 0.5, -0.2], 2), generator.uniform(0, 1, 8), 1)
    even = {"awr": {"temperature": 1e3}, "iql": {"inverse_temperature": 0.0}}
    even |= {"td3_bc": {"value_weight": 0.0}, **{name: {"behaviour_only": True} for name in CLONED}}
    steps = 250
    learner, _ = trained(
        method,
        data,
        {"steps": steps, "batch_size": 16, "held_out_fraction": 0, "learning_rate": 0.01},
        **even.get(method, {}),
        **({"behaviour_steps": steps} if method in CLONED else {}),
    )
    states = torch.from_numpy(data.observations)
    with torch.no_grad():
        error = (learner.policy.play(states) - torch.from_numpy(data.actions)).square().mean()
    assert error < 0.1 * data.actions.var()


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_training_ends_with_the_same_bytes(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {"steps": 14, "evaluate_every": 3}
    data = recorded(np.linspace(-1, 1, 60), np.linspace(0, 1, 60), 6, ended=False)
    policy = {"behaviour_steps": 5} if method in CLONED else {}
    policy |= {"critic_steps": 2, "tune_entropy": True} if method == "cql_continuous" else {}
    whole, curve = trained(method, data, short, **policy)
    saved = Resumption(tmp_path / "policy", "this one", every=4)
    with killed(monkeypatch, 9):
        trained(method, data, short, saved, **policy)
    assert saved.waiting
    resumed, again = trained(method, data, short, saved, **policy)
    assert repr(again) == repr(curve)  # where no step was taken there is NaN
    assert_same_weights(whole, resumed)


@pytest.mark.parametrize("method", ["td3_bc", *CLONED])
def test_being_looked_at_changes_nothing_that_is_drawn(method: str) -> None:
    found = [
        trained(method, bandit(), {"steps": 12, "evaluate_every": every}, **policy)[0].state_dict()
        for every in (2, 12)
        for policy in [{"behaviour_steps": 3} if method in CLONED else {}]
    ]
    for name, tensor in found[0].items():
        assert torch.equal(tensor, found[1][name]), name


@pytest.mark.parametrize("ended", [True, False])
def test_values_are_set_beside_discounted_returns(ended: bool) -> None:
    rewards = np.arange(8.0)
    data = recorded(rewards, rewards, 4, ended)
    expected = [
        sum(0.5 ** (j - t) * rewards[j] for j in range(t, end))
        + (0 if ended else 0.5 ** (end - t) * rewards[end - 4 : end].mean() / 0.5)
        for end in (4, 8)
        for t in range(end - 4, end)
    ]
    np.testing.assert_allclose(discounted_returns(data, 0.5), expected)
    short = {"steps": 2, "evaluate_every": 2, "held_out_fraction": 0.5}
    _, (row,) = trained("iql", data, short, discount=0.5)
    last = slice(0, 4 if ended else 3)  # a cut episode's last step has no successor
    halves = [discounted_returns(data, 0.5)[half:][last].mean() for half in (0, 4)]
    assert row.held_out["monte_carlo_return"] == pytest.approx(
        min(halves, key=lambda half: abs(half - row.held_out["monte_carlo_return"]))
    )
    assert "monte_carlo_return" not in trained("bc_mlp", data, short)[1][0].held_out


@pytest.mark.parametrize("method", METHODS)
def test_discrete_actions_are_refused(method: str) -> None:
    spec = Spec(("Catch",), (SPACE,), {"state": (SIZE,)}, {})
    with pytest.raises(PipelineError, match=r"^Catch: .*actions are discrete.*another method"):
        make(MethodConfig(method=method), spec)


def test_the_policy_of_td3_is_updated_less_often_than_its_critics() -> None:
    _, rows = trained("td3_bc", bandit(), {"steps": 4, "evaluate_every": 1})
    policy = [row.train_loss["policy"] for row in rows]
    assert [np.isnan(loss) for loss in policy] == [True, False, True, False]
    assert not any(np.isnan(row.train_loss["critic"]) for row in rows)


def test_td3_without_q_is_cloning_update_by_update() -> None:
    short = {"steps": 20, "evaluate_every": 20}
    clone, _ = trained("bc_mlp", bandit(), short)
    learner, _ = trained("td3_bc", bandit(), short, value_weight=0.0, policy_every=1)
    for name, weights in clone.policy.state_dict().items():
        torch.testing.assert_close(learner.policy.state_dict()[name], weights, msg=name)


def ramp() -> Trajectories:
    """Every episode is the same but for a little noise: what was done is known from the state, and
    the reward too. So nothing says what another action would have been worth.
    """
    generator = np.random.default_rng(0)
    time = np.tile(np.linspace(-1, 1, 20), 20)
    data = recorded(1.2 * np.sin(4 * time), 1 + time, 20)
    states = np.stack((time, time**2), axis=1) + 0.02 * generator.normal(size=(400, 2))
    vars(data).update(observations=states.astype("f4"))
    return data


def departure(**policy: Any) -> float:
    """Root mean square of what TD3+BC does but for what was done, of the bounds' half-range."""
    chosen = load(ROOT / "config/config.yaml").method("td3_bc", dataset="hopper_medium_expert")
    told = chosen.policy.model_dump(exclude={"width", "layers", "observation"}) | policy
    data = ramp()
    learner, _ = trained("td3_bc", data, {"steps": 300, "evaluate_every": 300}, **told)
    with torch.no_grad():
        played = learner.policy.play(torch.from_numpy(data.observations))
    apart = (played - torch.from_numpy(data.actions)) / ARMS.high[0]
    return float(apart.square().mean().sqrt())


def test_td3_as_configured_follows_what_was_done_where_nothing_else_was_tried() -> None:
    """With the original's α it left Hopper's start, which every recorded episode has in common."""
    assert departure() < 0.06
    assert departure(value_weight=2.5, layer_norm=False) > 0.1


@pytest.mark.parametrize(("expectile", "expected"), [(0.5, "mean"), (0.9999, "max")])
def test_an_expectile_lies_between_the_mean_and_the_maximum(
    expectile: float, expected: str
) -> None:
    sample = torch.tensor([0.0, 1.0, 1.5, 4.0, 6.0], dtype=torch.float64)
    guesses = torch.linspace(-1, 7, 8001, dtype=torch.float64)
    losses = expectile_loss(sample - guesses[:, None], expectile).mean(dim=1)
    known = {"mean": sample.mean(), "max": sample.max()}
    assert guesses[losses.argmin()] == pytest.approx(known[expected].item(), abs=3e-3)


@pytest.mark.parametrize("trace", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("end", ["window", "fall", "cut"])
def test_td_lambda_is_a_mixture_of_n_step_returns(trace: float, end: str) -> None:
    discount, horizon = 0.9, 6
    torch.manual_seed(0)
    rewards, values = torch.randn(2, 1, horizon + 1, dtype=torch.float64)
    length = horizon if end == "window" else 4  # transitions
    mask, terminal = torch.ones(2, 1, horizon + 1, dtype=torch.bool)
    terminal[:] = False
    if end != "window":
        mask[:, length + (end == "cut") :] = False  # a cut leaves a last state to bootstrap from
        terminal[:, length - 1] = end == "fall"
    found = td_lambda(rewards, values, mask, terminal, discount, trace)

    def n_step(n: int) -> float:
        paid = sum(discount**k * rewards[0, k].item() for k in range(n))
        fallen = end == "fall" and n == length
        return paid + (0.0 if fallen else discount**n * values[0, n].item())

    shares = [(1 - trace) * trace ** (n - 1) for n in range(1, length)] + [trace ** (length - 1)]
    expected = sum(share * n_step(n) for n, share in enumerate(shares, start=1))
    assert found.item() == pytest.approx(expected, rel=1e-12)


def brac(**policy: Any) -> BRACv:
    torch.manual_seed(0)
    config = MethodConfig.model_validate({"method": "brac_v", "policy": {"width": 8, **policy}})
    learner = make(config, Spec(("Bandit",), (ARMS,), {"state": (SIZE,)}, {}))
    assert isinstance(learner, BRACv)
    return learner


def test_the_divergence_is_that_of_two_gaussians() -> None:
    learner = brac(samples=20_000)
    means, log_stds = [0.3, -0.2], [-0.5, 0.1]
    for policy, mean, log_std in zip(
        (learner.policy, learner.behaviour), means, log_stds, strict=True
    ):
        torch.nn.init.zeros_(policy.body[-1].weight)
        policy.body[-1].bias.data = torch.tensor([mean, log_std])
    ours, theirs = (
        Normal(mean, torch.tensor(log_std).exp())
        for mean, log_std in zip(means, log_stds, strict=True)
    )
    with torch.no_grad():
        found, _ = learner.divergence_and_value(torch.randn(3, SIZE), learner.critic)
    # tanh is the same for both, so it leaves the divergence as it is
    torch.testing.assert_close(found.mean(), kl_divergence(ours, theirs), atol=0.01, rtol=0.02)


@pytest.mark.parametrize("method", CLONED)
def test_what_was_cloned_comes_first_and_can_be_all(method: str) -> None:
    whole, policy = {"steps": 6, "evaluate_every": 6}, {"behaviour_steps": 4, "critic_steps": 0}
    only, _ = trained(method, bandit(), whole, **policy, behaviour_only=True)
    on, _ = trained(method, bandit(), whole, **policy)
    for name, tensor in only.policy.state_dict().items():
        assert torch.equal(tensor, only.behaviour.state_dict()[name])
        assert torch.equal(tensor, on.behaviour.state_dict()[name])
    assert not torch.equal(on.policy.body[-1].weight, on.behaviour.body[-1].weight)


@pytest.mark.parametrize("method", CLONED)
def test_a_clone_alone_needs_updates(method: str) -> None:
    with pytest.raises(PipelineError, match="behaviour_only: with behaviour_steps 0 nothing would"):
        trained(method, bandit(), {"steps": 1}, behaviour_only=True, behaviour_steps=0)
