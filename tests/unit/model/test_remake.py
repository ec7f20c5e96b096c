"""The command that makes a model anew is one that the command line takes."""

import shlex

import pytest
import typer.main
from typer.core import TyperGroup

from summand.cli import build_app
from summand.model.remake import remake_command

OPTIONS = {
    "bits": 4,
    "group": 0,
    "rank": 8,
    "solver": "gptq",
    "sparsity": "2:4",
    "outliers": "none",
    "balance": False,
    "rotate": True,
    "sequential": False,
    "keep_quantised": False,
    "distil": 0,
    "calibration": {"text": "notes.txt", "sha256": "0", "tokens": 16384},
    "target": {"bits": 4.25, "kl": None},
    "decomposition": {"bound": 0.03, "steps": 2, "loss": 0.02, "saved": 0.1},
}


def test_it_says_what_the_manifest_says():
    source = {"kind": "folder", "path": "/models/a b", "sha256": "0"}
    assert remake_command({"source": source, "options": OPTIONS}) == (
        "summand compress '/models/a b' -o DIR --bits 4 --group 0 --rank 8 --solver gptq "
        "--sparsity 2:4 --outliers none --no-balance --rotate --distil 0 "
        "--calibration-tokens 16384 --target-bits 4.25 --decompose-loss 0.03 --decompose-steps 2"
    )


def test_the_command_line_takes_it():
    words = shlex.split(remake_command({"source": {"kind": "smollm2"}, "options": OPTIONS}))
    group = typer.main.get_command(build_app())
    assert isinstance(group, TyperGroup)
    context = group.commands["compress"].make_context("compress", words[2:])
    assert context.params["model"] == "smollm2"
    assert context.params["bits"] == 4
    assert context.params["balance"] is False
    assert context.params["target_bits"] == 4.25
    assert context.params["decompose_loss"] == 0.03
    assert context.params["decompose_steps"] == 2


@pytest.mark.parametrize("raw", [{}, {"source": 3, "options": []}, {"source": {"path": "\x1b"}}])
def test_what_is_strange_is_left_out(raw):
    assert remake_command(raw) == "summand compress MODEL -o DIR"
