"""Compress SmolLM2 in several ways to several sizes and evaluate each: tables and a plot.

    python tools/quality.py build/quality [--way allocated --only 4.25] [--plot docs/kinds.svg]

Takes minutes a row. Finished rows are not repeated: their figures are kept beside each model. The
plot has all that is kept, and needs matplotlib (`pip install '.[plots]'`).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GROUPED = ("--group", "32", "--scale-bits", "4")
CALIBRATION = ("--calibration-tokens", "16384")

SIZES = ("5.0", "4.5", "4.25", "3.5", "3.0", "2.5")


def allocated(*more: str, sizes: tuple[str, ...] = SIZES) -> dict[str, tuple[str, ...]]:
    """Return the arguments of an allocation to each size."""
    return {size: ("--target-bits", size, *more) for size in sizes}


def alike(*more: str, bits: tuple[int, ...] = (5, 4, 3)) -> dict[str, tuple[str, ...]]:
    """Return the arguments that treat every layer alike, for each width."""
    return {f"{b} bits": ("--bits", str(b), "--head-bits", "4", *more) for b in bits}


def uniform(*more: str, bits: tuple[int, ...]) -> dict[str, tuple[str, ...]]:
    """Return the arguments that give every layer, the head too, the same bits."""
    return {f"{b} bits": ("--bits", str(b), "--head-bits", str(b), *more) for b in bits}


#: The ways, each with its rows: a name, and arguments of ``summand compress smollm2 -o DIR``.
WAYS: dict[str, dict[str, tuple[str, ...]]] = {
    "allocated": allocated(),
    "allocated, half-step": allocated("--half-step"),
    "allocated, half-step, distilled": allocated("--half-step", "--distil", "48"),
    "alike": alike(),
    "alike, half-step": alike("--half-step", bits=(4, 3, 2)),
    "2:4": alike("--sparsity", "2:4", bits=(4,)),
    "SDQ": {
        "7:8": ("--bits", "4", "--head-bits", "4", "--sparsity", "6:8", "--outliers", "1:8"),
        "3:4": ("--bits", "4", "--head-bits", "4", "--sparsity", "2:4", "--outliers", "1:4"),
    },
    "outliers": alike("--outliers", "1:16", bits=(3, 2)),
    "per channel, nearest": uniform(
        *("--group", "0", "--solver", "rtn", "--no-balance", "--no-rotate"), bits=(8, 7, 6, 5, 4)
    ),
    "rank 16": alike("--rank", "16", "--rank-bits", "4", bits=(3,)),
    "in order": allocated("--sequential"),
    "10-bit activations": allocated("--act-bits", "10"),
    "no balance, no rotation": allocated("--no-balance", "--no-rotate"),
}


def figures(folder: Path, arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return the figures of a model's evaluation; makes the model if it does not exist."""
    cache = folder.with_name(f"{folder.name}.json")
    if not cache.exists():
        summand = str(Path(sys.executable).with_name("summand"))
        kept = ("--statistics", str(folder.with_name("statistics")))
        command = (summand, "compress", "smollm2", "-o", str(folder), *arguments, *kept)
        subprocess.run(command, check=True, stdout=sys.stderr)
        command = (summand, "evaluate", str(folder), "--other", "--json")
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        cache.write_text(said)
    return json.loads(cache.read_text())


def ratios(found: dict[str, Any]) -> list[float]:
    """Return the perplexity on each text as a multiple of the uncompressed model's."""
    return [text["perplexity"] / text["reference_perplexity"] for text in found["texts"]]


def name_of(way: str, row: str) -> str:
    """Return the name of a row's folder."""
    return "-".join(f"{way} {row}".replace(",", "").replace(":", "of").split())


def kept(folder: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the figures of each way that has some."""
    for way, rows in WAYS.items():
        files = [folder / f"{name_of(way, row)}.json" for row in rows]
        if found := [json.loads(file.read_text()) for file in files if file.exists()]:
            yield way, found


def plot(folder: Path, path: Path) -> None:
    """Draw perplexity over streamed bits, a panel a text."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "summand", "font.size": 8})
    from matplotlib import pyplot
    from matplotlib.ticker import NullLocator

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 4), sharey=True, layout="constrained")
    markers = dict(zip(WAYS, "osd^v*DPX<>hp", strict=True))
    for way, rows in kept(folder):
        rows.sort(key=lambda found: found["streamed_bits_per_weight"])
        bits = [found["streamed_bits_per_weight"] for found in rows]
        for i, axis in enumerate(axes):
            losses = [ratios(found)[i] for found in rows]
            axis.plot(bits, losses, marker=markers[way], markersize=4, linewidth=0.8, label=way)
    for axis, title in zip(axes, ("same kind", "other kind", "sentences"), strict=True):
        axis.set(title=title, xlabel="bits streamed a weight", yscale="log", ylim=(1, 7))
        axis.set_yticks([1, 1.1, 1.2, 1.5, 2, 3, 5], ["1", "1.1", "1.2", "1.5", "2", "3", "5"])
        axis.yaxis.set_minor_locator(NullLocator())
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("perplexity, multiple of the uncompressed model's")
    axes[-1].legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", help="rows of these names; all without")
    parser.add_argument("--way", action="append", choices=WAYS, help="ways; allocated without")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw all that is kept")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    write = sys.stdout.write
    write("| options | bits/weight | same kind | KL | other kind | KL | sentences | KL |\n")
    write("|---|---|---|---|---|---|---|---|\n")
    for way in given.way or ["allocated"]:
        for row, arguments in WAYS[way].items():
            if given.only and row not in given.only:
                continue
            folder = given.folder / name_of(way, row)
            found = figures(folder, (*GROUPED, *CALIBRATION, *arguments))
            cells = [f"`{' '.join(arguments)}`", f"{found['streamed_bits_per_weight']:.3f}"]
            for ratio, text in zip(ratios(found), found["texts"], strict=True):
                cells += [f"{ratio:.4f}", f"{text['kl_divergence']:.4f}"]
            write(f"| {' | '.join(cells)} |\n")
            sys.stdout.flush()
    if given.plot:
        plot(given.folder, given.plot)


if __name__ == "__main__":
    main()
