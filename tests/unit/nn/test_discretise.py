import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.nn.discretise import Discretiser

STEPS = 3000


def recorded() -> NDArray[np.float32]:
    """Columns of a normal, a constant, two values, a heavy tail, and many of one value."""
    generator = np.random.default_rng(0)
    many = np.where(generator.random(STEPS) < 0.6, 1.0, generator.normal(size=STEPS))
    columns = (
        generator.normal(3, 2, STEPS),
        np.full(STEPS, 0.1),
        generator.integers(0, 2, STEPS),
        generator.standard_cauchy(STEPS),
        many,
    )
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.fixture(params=[2, 7, 50])
def fitted(request: pytest.FixtureRequest) -> Discretiser:
    discretiser = Discretiser(5, request.param)
    discretiser.fit(recorded())
    return discretiser


def test_a_token_s_value_has_that_token_again(fitted: Discretiser) -> None:
    tokens = fitted.tokens(torch.from_numpy(recorded()))
    assert tokens.min() >= 0
    assert tokens.max() < fitted.bins
    assert torch.equal(fitted.tokens(fitted.values(tokens)), tokens)


def test_values_are_the_means_of_their_bins(fitted: Discretiser) -> None:
    values = recorded()
    tokens = fitted.tokens(torch.from_numpy(values)).numpy()
    for column in range(5):
        for token in np.unique(tokens[:, column]):
            inside = values[tokens[:, column] == token, column]
            np.testing.assert_allclose(
                fitted.means[column, token], inside.mean(dtype=np.float64), rtol=1e-5, atol=1e-6
            )
    # so the mean of a column is kept, which mid-points of a heavy tail would not do
    back = fitted.values(torch.from_numpy(tokens)).double().mean(dim=0)
    np.testing.assert_allclose(back, values.mean(axis=0, dtype=np.float64), rtol=1e-3, atol=1e-4)


def test_no_error_is_larger_than_its_bin(fitted: Discretiser) -> None:
    values = torch.from_numpy(recorded())
    tokens = fitted.tokens(values)
    error = (fitted.values(tokens) - values).abs()
    for column in range(5):
        for token in tokens[:, column].unique():
            inside = values[tokens[:, column] == token, column]
            assert error[tokens[:, column] == token, column].max() <= inside.max() - inside.min()


def test_bins_hold_equally_many_where_values_differ(fitted: Discretiser) -> None:
    tokens = fitted.tokens(torch.from_numpy(recorded()))
    counts = torch.bincount(tokens[:, 0], minlength=fitted.bins)
    assert counts.min() >= STEPS // fitted.bins - 1
    assert counts.max() <= STEPS // fitted.bins + 2


def test_what_is_beyond_is_in_the_outermost_bins_and_an_end_is_none(fitted: Discretiser) -> None:
    beyond = fitted.tokens(torch.tensor([[1e9] * 5, [-1e9] * 5]))
    assert (beyond[0] == fitted.bins - 1).all()
    assert (beyond[1] == 0).all()
    ended = torch.full((2, 5), fitted.end)
    assert not fitted.values(ended).any()


def test_columns_can_be_read_apart(fitted: Discretiser) -> None:
    values = torch.from_numpy(recorded()).view(30, 100, 5)
    tokens = fitted.tokens(values)
    part = fitted.tokens(values[..., 2:4], first=2)
    assert torch.equal(part, tokens[..., 2:4])
    assert torch.equal(fitted.values(part, first=2), fitted.values(tokens)[..., 2:4])


def test_expectations_weigh_means(fitted: Discretiser) -> None:
    certain = torch.full((4, fitted.bins), -1e9)
    certain[:, 1] = 0
    torch.testing.assert_close(fitted.expected(certain, 3), fitted.means[3, 1].expand(4))
    even = fitted.expected(torch.zeros(2, fitted.bins), 0)
    torch.testing.assert_close(even, fitted.means[0].mean().expand(2))


def test_a_checkpoint_brings_the_bins(fitted: Discretiser) -> None:
    empty = Discretiser(5, fitted.bins)
    empty.load_state_dict(fitted.state_dict())
    values = torch.from_numpy(recorded())
    assert torch.equal(empty.tokens(values), fitted.tokens(values))
