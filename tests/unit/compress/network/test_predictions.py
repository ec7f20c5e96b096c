import pytest
import torch
from torch import nn
from torch.nn.functional import kl_div

from summand.compress import CompressError
from summand.compress.network.predictions import (
    divergence,
    divergence_gradient,
    log_probabilities,
    token_logits,
)


@pytest.fixture
def logits():
    """Logits of two models on more positions than one chunk has, and not a multiple of it."""
    g = torch.Generator().manual_seed(3)
    return [3 * torch.randn(300, 17, generator=g) for _ in range(2)]


def test_probabilities_are_those_of_every_position(logits):
    parts = list(log_probabilities(logits[0].bfloat16()))
    assert len(parts) > 1
    assert {part.dtype for part in parts} == {torch.float32}
    want = logits[0].bfloat16().float().log_softmax(-1)
    torch.testing.assert_close(torch.cat(parts), want)


def test_the_divergence_is_pytorchs(logits):
    logp, logq = (each.log_softmax(-1) for each in logits)
    want = kl_div(logq, logp, reduction="none", log_target=True).sum(-1)
    torch.testing.assert_close(divergence(logp, logq), want.double())
    assert not torch.equal(divergence(logp, logq), divergence(logq, logp))


def test_the_gradient_is_that_of_the_mean_divergence(logits):
    teacher, student = logits
    student.requires_grad_()
    divergence(teacher.log_softmax(-1), student.log_softmax(-1)).mean().backward()
    got = divergence_gradient(student.detach(), teacher.clone())
    torch.testing.assert_close(got, student.grad)


def test_logits_are_of_every_token_and_carry_gradients(llama):
    ids = torch.arange(20)[None]
    want = llama.module(input_ids=ids).logits[0]
    got = token_logits(llama.module, ids)
    assert torch.equal(got, want)
    assert got.requires_grad
    with torch.no_grad():
        assert not token_logits(llama.module, ids).requires_grad


def test_logits_of_something_else_are_none():
    class Classifier(nn.Module):
        def forward(self, input_ids):
            return type("Output", (), {"logits": torch.zeros(len(input_ids), 2)})()

    with pytest.raises(CompressError, match="Classifier predicts no tokens"):
        token_logits(Classifier(), torch.arange(20)[None])
