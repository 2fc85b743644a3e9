"""Beam search over codes that a prior proposes and a model turns into what can be judged.

Beams of one episode lie together, and are compared with each other only.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def gumbel(noise: Tensor) -> Tensor:
    """Draws from N(0, 1) as draws from a Gumbel distribution: added to log p, the n largest are n
    draws from p without replacement (Kool et al. 2019, arXiv 1903.06059).
    """
    smallest = torch.finfo(noise.dtype).tiny
    below = torch.special.ndtr(noise).clamp(smallest, 1 - torch.finfo(noise.dtype).eps / 2)
    drawn: Tensor = -(-below.log()).log()
    return drawn


def latent_search(
    logits: Callable[[Tensor], Tensor],
    worth: Callable[[Tensor], Tensor],
    noise: Tensor,
    *,
    beams: int,
    expand: int,
    threshold: float,
    support_weight: float,
) -> Tensor:
    """The best codes of each episode, (E, M) int64.

    `logits` gives those of the code after (rows, m), (rows, K); `worth` what codes (rows, m) are
    worth, (rows,). `noise` (E, M, beams, K) is Gumbel's, times a temperature: 0 takes the most
    probable codes. The first code has `beams · expand` candidates, every later one `expand` of each
    beam; the best `beams` go on, by worth + support_weight · Σ_m min(log p_m, log threshold): no
    code that is improbable is made good by others.
    """
    episodes, steps, _, size = noise.shape
    codes = torch.zeros(episodes, 1, 0, dtype=torch.int64, device=noise.device)
    support = noise.new_zeros(episodes, 1)
    for step in range(steps):
        count = codes.shape[1]
        log_p = logits(codes.flatten(0, 1)).log_softmax(dim=-1).view(episodes, count, size)
        candidates = min(size, expand if step else beams * expand)
        chosen = (log_p + noise[:, step, :count]).topk(candidates, dim=-1).indices  # (E, b, n)
        likely = log_p.gather(-1, chosen).clamp(max=math.log(threshold))
        support = (support[..., None] + likely).flatten(1)  # (E, b · n)
        before = codes[:, :, None].expand(-1, -1, candidates, -1)
        codes = torch.cat((before, chosen[..., None]), dim=-1).flatten(1, 2)  # (E, b · n, m + 1)
        total = worth(codes.flatten(0, 1)).view_as(support) + support_weight * support
        kept = min(1 if step == steps - 1 else beams, total.shape[1])
        best = total.topk(kept, dim=1).indices
        support = support.gather(1, best)
        codes = codes.gather(1, best[..., None].expand(-1, -1, step + 1))
    return codes[:, 0]
