import torch

from summand.compress.calibrate.moments import is_singular


def test_moments_that_span_everything_are_not_singular():
    x = torch.randn(400, 32, generator=torch.Generator().manual_seed(0))
    assert not is_singular(x.T @ x)
    assert is_singular(x[:20].T @ x[:20])
    assert is_singular(torch.zeros(32, 32))
