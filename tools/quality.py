"""Compress SmolLM2 to several sizes and evaluate each: the table of docs/compression.md.

    python tools/quality.py build/quality [--only 4.25 --only 3.5]

Takes minutes a row. Finished rows are not repeated: their figures are kept beside each model.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

GROUPED = ("--group", "32", "--scale-bits", "4")
CALIBRATION = ("--calibration-tokens", "16384")

SIZES = ("5.0", "4.5", "4.25", "3.5", "3.0")

#: Options that treat every layer alike, by the size in bits a weight that they stay below.
ALIKE: dict[str, tuple[str, ...]] = {
    "5.0": ("--bits", "5", "--head-bits", "4"),
    "4.25": ("--bits", "4", "--head-bits", "4"),
    "3.5": ("--bits", "3", "--head-bits", "4"),
}

#: Ways to reach a size, with the options that they add to an allocation.
WAYS: dict[str, tuple[str, ...]] = {
    "allocated": (),
    "alike": (),
    "in order": ("--sequential",),
    "10-bit activations": ("--act-bits", "10"),
    "no balance, no rotation": ("--no-balance", "--no-rotate"),
}


def options(size: str, way: str) -> tuple[str, ...]:
    """Return the arguments after ``summand compress smollm2 -o DIR``."""
    return ALIKE[size] if way == "alike" else ("--target-bits", size, *WAYS[way])


def figures(folder: Path, arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return the figures of a model's evaluation; makes the model if it does not exist."""
    cache = folder.with_name(f"{folder.name}.json")
    if not cache.exists():
        summand = str(Path(sys.executable).with_name("summand"))
        command = (summand, "compress", "smollm2", "-o", str(folder), *arguments)
        subprocess.run(command, check=True)
        command = (summand, "evaluate", str(folder), "--other", "--json")
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        cache.write_text(said)
    return json.loads(cache.read_text())


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", choices=SIZES, help="sizes; all without")
    parser.add_argument("--way", action="append", choices=WAYS, help="ways; allocated without")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    write = sys.stdout.write
    write("| options | bits/weight | perplexity, same kind | KL | other kind | KL |\n")
    write("|---|---|---|---|---|---|\n")
    for size in given.only or SIZES:
        for way in given.way or ["allocated"]:
            if way == "alike" and size not in ALIKE:
                continue
            arguments = options(size, way)
            name = "-".join((size, *way.replace(",", "").split()))
            found = figures(given.folder / name, (*arguments, *GROUPED, *CALIBRATION))
            cells = [f"`{' '.join(arguments)}`", f"{found['streamed_bits_per_weight']:.3f}"]
            for text in found["texts"]:
                ratio = text["perplexity"] / text["reference_perplexity"]
                cells += [f"{ratio:.4f}", f"{text['kl_divergence']:.4f}"]
            write(f"| {' | '.join(cells)} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
