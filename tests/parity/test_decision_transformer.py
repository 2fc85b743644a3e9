"""Our Decision Transformer in Gym form gives the actions of Hugging Face's on the same weights,
over windows with padding and step by step with the cache.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace
from pipeline.language import gpt2
from pipeline.methods import Moment, Spec, make
from pipeline.observations.batch import Batch

STATE, ACTIONS, WIDTH, CONTEXT = 5, 3, 32, 8
EXACT = {"atol": 1e-5, "rtol": 0.0}
OUTER = {
    "embed_return": "returns",
    "embed_state": "encoder.output",
    "embed_action": "actions.embed",
    "predict_action.0": "action_head.output",
}


def reference_model() -> DecisionTransformerModel:
    torch.manual_seed(0)
    model = DecisionTransformerModel(
        DecisionTransformerConfig(
            state_dim=STATE,
            act_dim=ACTIONS,
            hidden_size=WIDTH,
            max_ep_len=64,
            n_layer=2,
            n_head=2,
            activation_function="relu",
        )
    ).eval()
    for parameter in model.parameters():  # biases are zero at first: make every one count
        nn.init.normal_(parameter, std=0.2)
    return model


def our_weights(model: DecisionTransformerModel) -> dict[str, Tensor]:
    """The reference's weights by our names.

    Its encoder still adds a position embedding, the same row to every token: here it is part of the
    LayerNorm's bias.
    """
    theirs = model.state_dict()
    weights = {
        "time.table.weight": theirs["embed_timestep.weight"],
        "norm.weight": theirs["embed_ln.weight"],
        "norm.bias": theirs["embed_ln.bias"] + theirs["encoder.wpe.weight"][0],
    }
    encoder = {
        name.removeprefix("encoder."): tensor
        for name, tensor in theirs.items()
        if name.startswith("encoder.")
    }
    for name, tensor in gpt2.renamed(encoder, model.config.n_layer).items():
        weights[f"transformer.{name}"] = tensor
    for kind in ("weight", "bias"):
        for old, new in OUTER.items():
            weights[f"{new}.{kind}"] = theirs[f"{old}.{kind}"]
    return weights


def our_model(weights: dict[str, Tensor], mean: np.ndarray, std: np.ndarray) -> Any:
    policy = {"context_length": CONTEXT, "width": WIDTH, "layers": 2, "heads": 2}
    policy |= {"activation": "relu", "time_embedding": "learned", "max_timesteps": 64}
    config = MethodConfig.model_validate({"method": "decision_transformer", "policy": policy})
    bounds = (-1.0,) * ACTIONS, (1.0,) * ACTIONS
    space = ActionSpace(("hip", "knee", "foot"), continuous=True, low=bounds[0], high=bounds[1])
    known = {"state_mean": mean, "state_std": std}
    model = make(config, Spec(("Made up",), (space,), {"state": (STATE,)}, known))
    model.load_state_dict(
        {**weights, "encoder.mean": model.encoder.mean} | {"encoder.std": model.encoder.std}
    )
    return model.eval()


@pytest.fixture
def compared() -> tuple[Any, Batch, Tensor]:
    """Our model, a batch of windows of which the second is padded, and the reference's actions."""
    reference = reference_model()
    generator = np.random.default_rng(0)
    mean, std = generator.normal(size=STATE), generator.uniform(0.5, 2, STATE)
    ours = our_model(our_weights(reference), mean.astype("f4"), std.astype("f4"))
    states = torch.randn(2, CONTEXT, STATE) * 2
    real = torch.ones(2, CONTEXT, dtype=torch.bool)
    real[1, :3] = False
    nothing = torch.zeros(2, CONTEXT)
    batch = Batch(
        observation={"state": states},
        actions=torch.rand(2, CONTEXT, ACTIONS) * 2 - 1,
        previous_actions=torch.zeros(2, CONTEXT, ACTIONS),
        rewards=nothing,
        previous_rewards=nothing,
        returns_to_go=torch.rand(2, CONTEXT),
        timesteps=torch.arange(7, 7 + CONTEXT).expand(2, CONTEXT),
        terminal=nothing.bool(),
        mask=real,
        task=torch.zeros(2, dtype=torch.int64),
        index=torch.arange(2),
    )
    with torch.no_grad():
        expected = reference(
            states=((states - ours.encoder.mean) / ours.encoder.std),
            actions=batch.actions,
            returns_to_go=batch.returns_to_go[..., None],
            timesteps=batch.timesteps,
            attention_mask=real.long(),
        ).action_preds
    return ours, batch, expected


def test_the_same_actions_on_the_same_weights(compared: tuple[Any, Batch, Tensor]) -> None:
    ours, batch, expected = compared
    with torch.no_grad():
        loss, parts = ours.loss(batch)
    real = batch.mask
    torch.testing.assert_close(parts["read"][real], expected[real], **EXACT)
    error = (expected - batch.actions)[real].square().mean()
    torch.testing.assert_close(loss, error, **EXACT)
    assert expected[real].std() > 0.1


def test_the_same_actions_step_by_step(compared: tuple[Any, Batch, Tensor]) -> None:
    """Of an episode's first K steps, over which the reference sees the whole episode too."""
    ours, batch, expected = compared
    state = ours.start(1)
    for t in range(CONTEXT):
        row, now = slice(0, 1), slice(t, t + 1)
        moment = Moment(
            observation={"state": batch.observation["state"][row, now]},
            previous_action=batch.actions[row, t - 1 : t] if t else torch.zeros(1, 1, ACTIONS),
            previous_reward=torch.zeros(1, 1),
            return_to_go=batch.returns_to_go[row, now],
            timestep=batch.timesteps[row, now],
            task=torch.zeros(1, dtype=torch.int64),
            noise=lambda *shape: torch.zeros(1, *shape),
        )
        with torch.no_grad():
            action, state = ours.act(moment, state)
        torch.testing.assert_close(action, expected[row, t], **EXACT)
