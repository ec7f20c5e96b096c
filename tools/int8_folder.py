"""Write SmolLM2 as a Hugging Face folder of 8-bit layers, in compressed-tensors' format.

    python tools/int8_folder.py build/int8

One scale an output, rounded to nearest, no zero points: such as is given away by quantisers, with
next to no loss by the weights. It serves to measure what inputs lose that can be neither balanced
nor rotated, because their layers are taken over as they are.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from summand.compress import open_source
from summand.compress.sources.sources import head_layers, write_side_files

QUANTISED = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "strategy": "channel", "symmetric": True},
        }
    },
}


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True)
    source = open_source("smollm2")
    module, heads = source.module, head_layers(source.module)
    tensors: dict[str, torch.Tensor] = {}
    quantised: set[str] = set()
    for name, child in module.named_modules():
        if isinstance(child, nn.Linear) and name not in heads:
            scale = child.weight.detach().abs().amax(dim=1, keepdim=True) / 127
            codes = ((child.weight.detach() / scale).round() + 128).to(torch.uint8)
            quantised.add(f"{name}.weight")
            tensors |= {
                f"{name}.weight_packed": codes.view(torch.int32),
                f"{name}.weight_scale": scale,
                f"{name}.weight_shape": torch.tensor(codes.shape),
            }
    for name, tensor in module.state_dict().items():
        if name not in quantised and name.removesuffix(".weight") not in heads:
            tensors[name] = tensor.contiguous()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    write_side_files(source, folder)
    config = folder / "config.json"
    stated = json.loads(config.read_text()) | {"quantization_config": QUANTISED}
    config.write_text(json.dumps(stated, indent=2) + "\n")


if __name__ == "__main__":
    main()
