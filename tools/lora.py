"""A small LoRA adapter of SmolLM2, and what it is worth in integers.

    python tools/lora.py train build/lora                            # minutes, on a CPU
    summand adapt build/smollm2 --adapter build/lora -o build/adapter
    python tools/lora.py measure build/smollm2 build/lora build/adapter

Trained on one half of Python's topics of help, measured on the other half; paragraphs that both
have are left out of training. The adapter (arXiv 2106.09685) is of rank 8, on queries and values.
"""

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from summand.bench import Law
from summand.compress import evaluate, evaluation_text, load_integer, open_source, windows
from summand.compress.adapt import PeftFolder, add_in_float
from summand.compress.calibrate.text import topics_text
from summand.compress.network.survey import linear_of, put
from summand.isa import EngineConfig
from summand.model import Layer, SummandModel
from summand.model.adapters import Adapter
from summand.model.engine import engine_of
from summand.model.host import load_tokenizer
from summand.runtime import Usage, compile_layers

TARGETS = ("q_proj", "v_proj")
RANK, ALPHA = 8, 16
WINDOW, STEPS, RATE = 256, 160, 1e-3
#: Tokens that losses are measured on.
TOKENS = 4096


class Lora(nn.Module):
    """A linear layer that is left as it is, and two factors beside it."""

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.empty(RANK, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, RANK))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output and the factors'."""
        return self.base(x) + x @ self.a.T @ self.b.T * (ALPHA / RANK)


def train(folder: Path) -> None:
    """Train an adapter and write it as PEFT does."""
    torch.manual_seed(0)
    source = open_source("smollm2")
    model = source.module
    rows = windows(source.tokenizer, topics_text(), tokens=1 << 30, window=WINDOW)
    for p in model.parameters():
        p.requires_grad_(False)
    names = [name for name, _ in model.named_modules() if name.endswith(TARGETS)]
    loras = {name: Lora(linear_of(model, name)) for name in names}
    for name, lora in loras.items():
        put(model, name, lora)
    parameters = [p for lora in loras.values() for p in (lora.a, lora.b)]
    optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=STEPS, pct_start=0.1
    )
    order = torch.randperm(len(rows)).tolist()
    losses: list[float] = []
    for step in range(STEPS):
        row = rows[order[step % len(order)]]
        loss = model(input_ids=row, labels=row, use_cache=False).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % 20 == 19:
            mean = sum(losses[-20:]) / 20
            print(f"{step + 1} of {STEPS} steps, loss {mean:.3f}", flush=True)  # noqa: T201
    write(folder, loras)


def write(folder: Path, loras: dict[str, Lora]) -> None:
    """Write factors in the format of PEFT."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, lora in loras.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = lora.a.detach()
        tensors[f"base_model.model.{name}.lora_B.weight"] = lora.b.detach()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "r": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.0,
        "target_modules": list(TARGETS),
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
        "modules_to_save": None,
        "rank_pattern": {},
        "alpha_pattern": {},
        "inference_mode": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


def measure(folder: Path, peft: Path, adapter: Path) -> None:
    """Print losses of a model without and with the adapter, and what a token costs."""
    model, factors = SummandModel(folder), PeftFolder(peft)
    added = Adapter(adapter, model)
    rows = windows(load_tokenizer(model), evaluation_text(), tokens=TOKENS, window=512)
    in_float = load_integer(model)
    add_in_float(in_float, {name: factors.factors(name) for name in added.names})
    in_integers = load_integer(model, added)
    engine = engine_of(added.adapted)
    alone, beside = (cost(layers, model, engine) for layers in (model.layers(), added.layers()))
    lines = [
        "| | loss, nats a token | perplexity | cycles a token | bits a token |",
        "|---|---|---|---|---|",
        f"| the model | {loss(load_integer(model), rows)} | {alone} |",
        f"| with the adapter in floating point | {loss(in_float, rows)} | | |",
        f"| with the adapter in integers | {loss(in_integers, rows)} | {beside} |",
    ]
    print(*lines, sep="\n")  # noqa: T201


def loss(module: nn.Module, rows: list[torch.Tensor]) -> str:
    """Return the mean loss on rows, and the perplexity."""
    perplexity = evaluate(module, rows).perplexity
    return f"{math.log(perplexity):.4f} | {perplexity:.3f}"


def cost(layers: Iterable[Layer], model: SummandModel, engine: EngineConfig) -> str:
    """Return the cycles of a token by the cost law, and the bits that are streamed for it."""
    named = {layer.name: layer for layer in layers}
    law, total = Law(engine), Usage()
    for group in model.groups:
        total += law.usage(compile_layers([named[name] for name in group], engine), 1)
    return f"{total.counters.cycles:,} | {total.stream_bits:,}"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train").add_argument("peft", type=Path)
    measuring = commands.add_parser("measure")
    for name in ("model", "peft", "adapter"):
        measuring.add_argument(name, type=Path)
    arguments = parser.parse_args()
    if arguments.command == "train":
        train(arguments.peft)
    else:
        measure(arguments.model, arguments.peft, arguments.adapter)


if __name__ == "__main__":
    main()
