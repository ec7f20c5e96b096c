from types import SimpleNamespace

import pytest
import torch

from summand.decoding import Pass, Sampling, Speculation, Writer
from summand.draft import Draft
from summand.isa import SummandError


class Counter(torch.nn.Module):
    """A model that predicts the next number, and records its calls."""

    def __init__(self, size: int = 10):
        super().__init__()
        self.size = size
        self.seen: list[list[int]] = []
        self.config = SimpleNamespace(
            vocab_size=size, max_position_embeddings=12, eos_token_id=[9, 8]
        )

    def forward(self, input_ids, past_key_values, use_cache, logits_to_keep=0):
        self.seen.append(input_ids[0].tolist())
        assert (past_key_values is None) == (len(self.seen) == 1)
        logits = torch.zeros(1, 1, self.size)
        logits[0, 0, (self.seen[-1][-1] + 1) % self.size] = 5.0
        return SimpleNamespace(logits=logits, past_key_values=len(self.seen))


class Eager:
    """A drafter that proposes the number that is next."""

    def begin(self, prompt):
        self.last = prompt[-1]

    def propose(self, most):
        return Draft((self.last + 1,), (-1,))

    def learn(self, written, seen):
        self.last = written[-1]


def generate(model, prompt, *, tokens, stop=(), **sampling):
    yield from Writer(model, sampling=Sampling(**sampling)).write(prompt, tokens=tokens, stop=stop)


def test_prompt_goes_in_one_call_and_tokens_one_by_one():
    model = Counter()
    assert list(generate(model, [4, 1, 2], tokens=3)) == [3, 4, 5]
    assert model.seen == [[4, 1, 2], [3], [4]]


def test_a_stop_token_ends_the_text():
    assert list(generate(Counter(), [5], tokens=9, stop={8})) == [6, 7]


def test_temperature_takes_chances_repeatably():
    def write(**how):
        return list(generate(Counter(), [5], tokens=12, **how))

    assert write(temperature=5.0, seed=1) == write(temperature=5.0, seed=1)
    assert write(temperature=5.0, seed=1) != write(temperature=5.0, seed=2)
    assert write(temperature=1e-4) == write()


def test_no_gradients_are_kept():
    model = Counter()
    for _ in generate(model, [1], tokens=1):
        pass
    assert torch.is_grad_enabled()


def test_model_without_options():
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Counter()

        def forward(self, input_ids, past_key_values, use_cache):
            return self.inner(input_ids, past_key_values, use_cache)

    assert list(generate(Plain(), [1], tokens=2)) == [2, 3]


def test_the_cache_goes_by_the_name_that_the_model_has_for_it():
    class Renamed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Counter()

        def forward(self, input_ids, cache, use_cache):
            out = self.inner(input_ids, cache, use_cache)
            return SimpleNamespace(logits=out.logits, cache=out.past_key_values)

    assert list(generate(Renamed(), [4, 1], tokens=3)) == [2, 3, 4]


def test_model_without_a_cache_is_refused():
    class Forgetful(torch.nn.Module):
        def forward(self, input_ids, past_key_values, use_cache):
            return SimpleNamespace(logits=torch.zeros(1, 1, 10))

    class Unaware(torch.nn.Module):
        def forward(self, input_ids):
            return SimpleNamespace(logits=torch.zeros(1, 1, 10))

    for model in (Forgetful(), Unaware()):
        with pytest.raises(SummandError, match=f"a {type(model).__name__} has no KV cache"):
            list(generate(model, [1], tokens=1))


def test_no_tokens():
    model = Counter()
    assert list(generate(model, [1], tokens=0)) == []
    assert model.seen == []


def test_a_cache_of_its_own_is_read_token_by_token():
    writer = Writer(Counter(20), speculation=Speculation(Eager(), 7))
    assert list(writer.write([1], tokens=3)) == [2, 3, 4]
    assert writer.why_plain == "the model's cache of type int cannot be rolled back"
    assert writer.passes == [Pass(0, 0), Pass(0, 0)]
