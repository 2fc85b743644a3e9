"""Codes: which is nearest, what passes through, and how they follow."""

import pytest
import torch

from pipeline.nn.codebook import Codebook


def book(decay: float = 0.9) -> Codebook:
    torch.manual_seed(0)
    return Codebook(5, 3, decay)


def test_the_nearest_code_is_the_nearest() -> None:
    codes, vectors = book(), torch.randn(2, 7, 3)
    expected = torch.cdist(vectors, codes.codes[None]).argmin(dim=-1)
    found = codes(vectors)
    assert torch.equal(found.chosen, expected)
    torch.testing.assert_close(found.codes, codes.codes[expected])
    torch.testing.assert_close(
        found.distance, (vectors - codes.codes[expected]).square().mean(dim=-1)
    )


def test_gradients_go_straight_through() -> None:
    codes, vectors = book(), torch.randn(4, 3).requires_grad_()
    weights = torch.randn(4, 3)
    (codes(vectors).codes * weights).sum().backward()
    assert torch.equal(vectors.grad, weights)
    assert not list(codes.parameters())
    vectors.grad = None
    found = codes(vectors)
    found.distance.sum().backward()  # commitment: towards the code
    towards = 2 / 3 * (vectors.detach() - codes.codes[found.chosen])
    torch.testing.assert_close(vectors.grad, towards)


def test_codes_are_the_running_means_of_what_chose_them() -> None:
    codes, decay = book(), 0.9
    with torch.no_grad():
        codes.count.fill_(2.0)
    total, count = codes.codes * 2, codes.count.clone()
    spread = codes.codes.clone()
    for step in range(4):
        torch.manual_seed(step)
        which = torch.tensor([0, 0, 1, 2, 3, 4, 4])
        vectors = spread[which] + 0.01 * torch.randn(7, 3)  # each near its own code
        real = torch.tensor([True] * 6 + [False])
        codes.follow(vectors, real)
        for k in range(5):
            own = vectors[(which == k) & real]
            total[k] = decay * total[k] + (1 - decay) * own.sum(dim=0)
            count[k] = decay * count[k] + (1 - decay) * len(own)
    torch.testing.assert_close(codes.count, count)
    torch.testing.assert_close(codes.codes, total / count[:, None])


def test_codes_that_nothing_chooses_begin_anew_among_the_vectors() -> None:
    codes = book()
    vectors = torch.randn(40, 3) + 10
    codes.follow(vectors, torch.ones(40, dtype=torch.bool))
    apart = torch.cdist(codes.codes, vectors).amin(dim=1)
    assert (apart < 4).all()
    assert (codes.count >= 0.05).all()
    for _ in range(30):
        codes.follow(vectors, torch.ones(40, dtype=torch.bool))
    assert len(codes.nearest(vectors).unique()) == 5
    assert codes.count.sum() == pytest.approx(40, abs=3)
    before = codes.codes.clone()
    codes.follow(vectors, torch.zeros(40, dtype=torch.bool))
    assert torch.equal(codes.codes, before)
