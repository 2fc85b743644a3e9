"""Values of discrete actions: a network with several values of each action, and quantile
regression.

The several values are quantiles of the return (Dabney et al. 2018), or heads of which each is a
value of its own (Agarwal et al. 2020). Their mean is Q(s, a).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.nn.state_encoders import FrameEncoder, StateEncoder
from pipeline.nn.token_pooling import AttentionPooling


class StepFeatures(nn.Module):
    """One step's observation as a vector: frames by convolutions, tokens by attention pooling, a
    state vector by a hidden layer; each standardised by the data. (B, S, …) → (B, S, width).
    """

    def __init__(
        self,
        shape: Mapping[str, tuple[int, ...]],
        statistics: Mapping[str, Any],
        width: int,
        queries: int = 8,
        per_task: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """`shape` and `statistics` are those of a store; `queries` are those of the pooling. With
        the statistics `per_task` of several, each one's frames are standardised by its own.
        """
        super().__init__()
        (self.kind,) = {"frames", "tokens", "state"} & shape.keys()
        self.several = self.kind == "frames" and len(per_task) > 1
        self.encoder: FrameEncoder | StateEncoder | AttentionPooling
        self.hidden: nn.Module = nn.Identity()  # frames end in a ReLU, as DQN's do
        if self.kind == "tokens":
            embed, text = shape["tokens"][1], int(statistics["text_tokens"])
            self.encoder = AttentionPooling(text, embed, queries, width)
            if (mean := statistics.get("token_mean")) is not None:
                std = torch.as_tensor(statistics["token_std"])
                self.encoder.whiten.fit(torch.as_tensor(mean), std)
            self.hidden = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(inplace=True)
            )
        elif self.kind == "frames":
            # a tanh saturated within 50 updates, and then told no states apart (docs/baselines.md)
            tasks = len(per_task) if self.several else 0
            self.encoder = FrameEncoder(shape["frames"], width, tasks, nn.ReLU)
            self.encoder.fit(statistics, per_task)
        else:
            self.encoder = StateEncoder(shape["state"], width)
            self.encoder.fit(statistics)
            self.hidden = nn.ReLU()

    @property
    def observed(self) -> tuple[str, ...]:
        """The tensors of an observation that are read."""
        return ("tokens", "mask") if self.kind == "tokens" else (self.kind,)

    def forward(self, observation: Mapping[str, Tensor], task: Tensor | None = None) -> Tensor:
        """Encode; see the class. `task` (B,) is needed for frames of several."""
        told = [observation[name] for name in self.observed]
        features: Tensor = self.hidden(self.encoder(*told, *([task] if self.several else [])))
        return features


class ValueNetwork(nn.Module):
    """Several values of each action: an observation (B, S, …) → (B, S, actions, values) float32."""

    def __init__(self, features: StepFeatures, width: int, actions: int, values: int) -> None:
        """`width` is that of the features."""
        super().__init__()
        self.features, self.shape = features, (actions, values)
        self.output = nn.Linear(width, actions * values)
        # Q begins near zero: a random one is an argument for some actions that nothing supports
        nn.init.normal_(self.output.weight, std=0.1 * width**-0.5)
        nn.init.zeros_(self.output.bias)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """The values; see the class."""
        values: Tensor = self.output(self.features(observation)).float()
        return values.view(*values.shape[:-1], *self.shape)


def of_action(values: Tensor, actions: Tensor) -> Tensor:
    """The values (…, A, N) of one action each (…) int64: (…, N)."""
    index = actions[..., None, None].expand(*actions.shape, 1, values.shape[-1])
    return values.gather(-2, index)[..., 0, :]


def quantile_huber(quantiles: Tensor, goals: Tensor, kappa: float = 1.0) -> Tensor:
    """Quantile regression with Huber's loss (Dabney et al. 2018, eq. 10): of quantiles θ (…, N) at
    the levels (i + ½)/N towards samples of the target y (…, M), (…) float32.

    Σ_i mean_j |τ_i − 1{y_j < θ_i}| · Huber_κ(y_j − θ_i) / κ.
    """
    count = quantiles.shape[-1]
    levels = (torch.arange(count, device=quantiles.device) + 0.5) / count
    error = goals[..., None, :] - quantiles[..., :, None]  # (…, N, M)
    size = error.abs()
    huber = torch.where(size <= kappa, 0.5 * error.square() / kappa, size - 0.5 * kappa)
    weight = (levels[:, None] - (error.detach() < 0).float()).abs()
    return (weight * huber).mean(dim=-1).sum(dim=-1)
