"""What every training here shares: the optimiser, the course of its rate, averaged weights."""

import math

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline.config.schema import TrainingConfig
from pipeline.hardware import distributed


def make_optimizer(module: nn.Module, settings: TrainingConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only: not on biases, norms and other vectors."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)


def averaged(module: nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of a module's weights, brought up to date by
    `update_parameters`.

    It takes the last updates' noise out of a policy, which its own play would amplify (Block et
    al. 2024, arXiv 2310.11428).
    """
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(module, multi_avg_fn=average)


def learning_rate(step: int, settings: TrainingConfig) -> float:
    """The rate of update `step` (from 0): linear warm-up, then a cosine to the final fraction."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    final = settings.final_learning_rate
    return settings.learning_rate * (final + (1 - final) * cosine)


def update(
    loss: torch.Tensor,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: float,
    clip: float,
) -> tuple[float, float]:
    """One step of `optimizer` at `rate` down the gradient of `loss`, clipped; loss and gradient
    norm.

    Where one of the two is not finite nothing is changed: the caller says what to do.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = float(nn.utils.clip_grad_norm_(module.parameters(), clip))
    value = float(distributed.mean(loss.detach()))
    if math.isfinite(value) and math.isfinite(norm):
        optimizer.step()
    return value, norm
