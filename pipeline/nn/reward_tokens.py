"""What a step paid as one of four tokens (Lee et al. 2022, Multi-Game Decision Transformers, arXiv
2205.15241).
"""

import torch
from torch import Tensor

REWARD_TOKENS = 4
"""Nothing, a point, the end, a loss."""


def reward_tokens(rewards: Tensor, terminal: Tensor) -> Tensor:
    """0: nothing, 1: a point, 2: the end, 3: a loss; of rewards and ends (…): (…) int64."""
    signs = torch.where(rewards > 0, 1, torch.where(rewards < 0, 3, 0))
    return torch.where(terminal, 2, signs)
