"""Which weights are kept."""

import pytest
import torch

from summand.isa.patterns import SparsePattern
from summand.summands.errors import SolveError
from summand.summands.inverse import Inverse
from summand.summands.pruning import best_of_blocks, saliency


def test_the_best_of_each_block_are_kept_and_of_equal_ones_the_first():
    scores = torch.tensor([[3.0, 1, 2, 0, 5, 5, 5, 5]])
    kept = best_of_blocks(scores, SparsePattern(kept=2, block=4))
    assert kept.int().tolist() == [[1, 0, 1, 0, 1, 1, 0, 0]]


def test_scores_are_those_of_their_papers():
    weight = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    energy, inverse = torch.tensor([4.0, 9.0]), torch.tensor([0.5, 2.0])
    assert saliency("magnitude", weight, energy).tolist() == [[1, 2], [3, 0]]
    assert saliency("wanda", weight, energy).tolist() == [[2, 6], [6, 0]]
    assert saliency("sparsegpt", weight, energy, inverse).tolist() == [[2, 2], [18, 0]]


@pytest.mark.parametrize("seed", range(3))
def test_the_factor_is_of_the_inverse_whatever_the_order(seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(60, 12, generator=g)
    order = torch.randperm(12, generator=g)
    found = Inverse(x.T @ x / 60, order, 0.1)
    wanted = torch.linalg.inv(found.damped.double()).float()
    factor = found.factor
    assert torch.equal(factor, factor.triu())
    assert torch.allclose(factor.T @ factor, wanted[order][:, order], rtol=1e-4, atol=1e-5)
    assert torch.allclose(found.diagonal(), wanted.diagonal(), rtol=1e-4)


def test_moments_that_no_damping_helps_are_refused():
    with pytest.raises(SolveError, match="cannot be inverted even when damped"):
        Inverse(torch.full((2, 2), torch.nan), torch.arange(2), 0.1)
