"""What every training here shares: an optimiser with the course of its rate, averaged weights."""

import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline.config.schema import TrainingConfig
from pipeline.hardware import distributed


class Optimizer:
    """AdamW on one module, with a rate of its own and clipped gradients."""

    def __init__(
        self,
        module: nn.Module,
        settings: TrainingConfig,
        name: str = "",
        updates: range | None = None,
    ) -> None:
        """The rate is that of `settings.learning_rates` for `name`, or else the common one, and
        runs its course over these `updates`, by default all.
        """
        self._updates = range(settings.steps) if updates is None else updates
        self._parameters = [each for each in module.parameters() if each.requires_grad]
        self._settings = settings
        self._peak = settings.learning_rates.get(name, settings.learning_rate)
        # weight decay on matrices only: not on biases, norms and other vectors
        matrices = [each for each in self._parameters if each.dim() >= 2]
        vectors = [each for each in self._parameters if each.dim() < 2]
        groups = [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        told = {"betas": settings.betas, "eps": settings.adam_epsilon}
        self.adamw = torch.optim.AdamW(groups, lr=self._peak, fused=True, **told)  # type: ignore[arg-type]

    def rate(self, step: int) -> float:
        """The rate of update `step`, counted from 0; 0 where it makes none."""
        if step not in self._updates:
            return 0.0
        done, count = step - self._updates.start, len(self._updates)
        return learning_rate(done, count, self._settings, self._peak)

    def take(self, loss: Tensor, step: int) -> tuple[float, float]:
        """One step down the gradient of `loss`, clipped; loss and gradient norm, of all processes.

        Other modules' gradients are not touched. Where loss or norm is not finite nothing is
        changed: the caller says what to do.
        """
        for group in self.adamw.param_groups:
            group["lr"] = self.rate(step)
        for each in self._parameters:  # as `zero_grad` does, whose own cost a small network feels
            each.grad = None
        loss.backward(inputs=self._parameters)  # type: ignore[no-untyped-call]
        distributed.average_gradients(self._parameters)
        norm = float(nn.utils.clip_grad_norm_(self._parameters, self._settings.gradient_clip))
        value = float(distributed.mean(loss.detach()))
        if math.isfinite(value) and math.isfinite(norm):
            self.adamw.step()
        return value, norm


def averaged(module: nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of a module's weights, brought up to date by
    `update_parameters`.

    It takes the last updates' noise out of a policy, which its own play would amplify (Block et
    al. 2024, arXiv 2310.11428).
    """
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(module, multi_avg_fn=average)


def learning_rate(step: int, steps: int, settings: TrainingConfig, peak: float) -> float:
    """The rate of update `step` (from 0) of `steps`: linear warm-up to `peak`, then a cosine to the
    final fraction.
    """
    if step < settings.warmup_steps:
        return peak * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    final = settings.final_learning_rate
    return peak * (final + (1 - final) * cosine)
