from dataclasses import replace

import torch

from summand.compress.twin.integer import quantise_tokens
from summand.summands.lowrank.solve import Iterative
from summand.summands.lowrank.solve.alone import output_loss, solve_alone
from summand.summands.lowrank.solve.problem import LowRankProblem


def problem(bits):
    g = torch.Generator().manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(48, 40, generator=g) * 0.05, full_matrices=False)
    x = torch.randn(400, 40, generator=g) * torch.exp(2 * torch.rand(40, generator=g))
    x = x @ torch.linalg.qr(torch.randn(40, 40, generator=g))[0]
    xq, s_x = quantise_tokens(x, 8)
    return LowRankProblem(
        target=(u * 0.7 ** torch.arange(40)) @ v,
        unit=torch.ones(48),
        rank=20,
        bits=bits,
        moments=x.T @ x / len(x),
        xq=xq,
        s_x=s_x,
        act_bits=8,
        limit=1 << 20,
    )


def test_alone_more_bits_lose_less():
    losses = []
    for bits in (2, 3, 4, 6, 8):
        solution, unit = solve_alone(problem(bits), Iterative())
        losses.append(output_loss(replace(problem(bits), unit=unit), solution))
    assert losses == sorted(losses, reverse=True)
