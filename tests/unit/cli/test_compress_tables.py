import io
from dataclasses import replace
from types import SimpleNamespace

from rich.console import Console
from torch import nn

from summand.cli.compress_tables import show_support
from summand.compress.network.survey import Survey
from summand.recipe.choice import Choice
from summand.recipe.options import Options


def test_choices_that_differ_in_numbers_are_one_line():
    sizes = {"up.0": 64, "up.1": 64, "up.2": 32, "down": 64}
    module = nn.ModuleDict({"up": nn.Sequential(*(nn.Linear(96, n) for n in (64, 64, 32)))})
    module["down"] = nn.Linear(64, 96)
    options = Options(bits=2, group=32, scale_bits=4)
    chosen = [
        options,
        replace(options, bits=5),
        replace(options, bits=3, group=64, rank=8),
        replace(options, bits=4),
    ]
    choices = {n: Choice.of(o, head=False) for n, o in zip(sizes, chosen, strict=True)}
    job = SimpleNamespace(
        survey=Survey((tuple(sizes),), ()),
        choices=choices,
        keeper=None,
        source=SimpleNamespace(module=module),
    )
    text = io.StringIO()
    show_support(job, Console(file=text, width=120))  # type: ignore[arg-type]
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    assert "up.* 2 96 x 64 dense 2 to 5 bits, groups of 32 with 4-bit scales" in lines
    assert any(line.startswith("up.* 1 96 x 32 dense 3 bits, groups of 64 with") for line in lines)
    assert "down 1 64 x 96 dense 4 bits, groups of 32 with 4-bit scales" in lines
