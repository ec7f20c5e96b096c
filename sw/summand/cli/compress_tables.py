"""Tables that ``summand compress`` prints: how it treats a model's layers, and the results."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from summand.compress.importers import Keeper
    from summand.compress.job.compressor import Job
    from summand.model import LayerEntry, Manifest

__all__ = ["show_decompositions", "show_distillation", "show_results", "show_support"]

_T = TypeVar("_T")


def _by_kind(items: Iterable[_T], name: Any) -> Mapping[str, list[_T]]:
    """Collect items whose names differ in numbers only, under the name with stars for numbers."""
    kinds: dict[str, list[_T]] = {}
    for item in items:
        kinds.setdefault(re.sub(r"(?<![^.])\d+(?![^.])", "*", name(item)), []).append(item)
    return kinds


def show_support(job: "Job", console: "Console") -> None:
    """Print how every module that has parameters is treated."""
    table = _table("To be compressed")
    table.add_column("layers", overflow="fold")
    for title in ("count", "shape"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("as")
    kept = job.keeper.kinds if job.keeper else {}
    for kind, names in _by_kind((n for n in job.survey.layers if n not in kept), str).items():
        found = [(_shape(job, name), job.choices[name].label) for name in names]
        alike = Counter(_without_numbers(label) for _, label in found)
        for form, count in sorted(alike.items()):
            shapes, labels = zip(*(f for f in found if _without_numbers(f[1]) == form), strict=True)
            table.add_row(kind, str(count), _ranges(shapes), _ranges(labels))
    if table.row_count:
        console.print(table)
    if job.keeper:
        _show_kept(job.keeper, console)
    host = _table("To stay on the host")
    host.add_column("module", overflow="fold")
    host.add_column("count", justify="right", no_wrap=True)
    host.add_column("kind", no_wrap=True)
    host.add_column("because")
    for kind, entries in _by_kind(job.survey.host, lambda e: e.name).items():
        host.add_row(kind, str(len(entries)), entries[0].kind, entries[0].reason)
    console.print(host)


def _shape(job: "Job", name: str) -> str:
    linear = job.source.module.get_submodule(name)
    return f"{linear.in_features} x {linear.out_features}"


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+", "#", text)


def _ranges(texts: Sequence[str]) -> str:
    """Return texts that differ in their numbers only as one, with the least and the largest."""
    numbers = zip(*(map(int, re.findall(r"\d+", text)) for text in texts), strict=True)
    ranges = iter([(min(each), max(each)) for each in numbers])

    def put(_: re.Match[str]) -> str:
        low, high = next(ranges)
        return str(low) if low == high else f"{low} to {high}"

    return re.sub(r"\d+", put, texts[0])


def _show_kept(keeper: "Keeper", console: "Console") -> None:
    """Print which layers are taken over, and why others are not."""
    table = _table(f"Quantised by {keeper.checkpoint.format}")
    table.add_column("layers", overflow="fold")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("taken over as", no_wrap=True)
    table.add_column("or compressed anew because")
    for kind, names in _by_kind(keeper.kinds, str).items():
        table.add_row(kind, str(len(names)), " or ".join(sorted({keeper.kinds[n] for n in names})))
    for kind, names in _by_kind(keeper.reasons, str).items():
        reasons = "; ".join(sorted({keeper.reasons[n] for n in names}))
        table.add_row(kind, str(len(names)), "", reasons)
    console.print(table)


def show_results(layers: "tuple[LayerEntry, ...]", console: "Console") -> None:
    """Print bits per weight, megabytes streamed for a token, and errors."""
    table = _table("Compressed", show_footer=True)
    total, bits = sum(e.weights for e in layers), sum(e.bits for e in layers)
    table.add_column("layers", f"all {len(layers)}", overflow="fold")
    for title, footer in (
        ("weights", f"{total / 1e6:.1f} M"),
        ("bits each", f"{bits / total:.3f}"),
        ("streamed", f"{bits / 8e6:.2f} MB"),
        ("error", ""),
    ):
        table.add_column(title, footer, justify="right", no_wrap=True)
    for kind, entries in _by_kind(layers, lambda e: e.name).items():
        weights, bits = sum(e.weights for e in entries), sum(e.bits for e in entries)
        table.add_row(
            kind,
            f"{weights / 1e6:.1f} M",
            f"{bits / weights:.3f}",
            f"{bits / 8e6:.2f} MB",
            _error(entries),
        )
    console.print(table)


def show_distillation(options: Mapping[str, Any], console: "Console") -> None:
    """Print the result of distillation, if there was one."""
    done = options.get("distillation")
    if not done:
        return
    table = _table("Distilled")
    for title in ("steps", "kept of step", "tokens held out", "KL before", "KL after"):
        table.add_column(title, justify="right", no_wrap=True)
    kl = (f"{done[name]:.4f}" for name in ("kl_before", "kl_after"))
    kept = str(done["kept"]) if done["kept"] else "none better"
    table.add_row(str(done["steps"]), kept, f"{done['tokens']:,}", *kl)
    console.print(table)


def show_decompositions(manifest: "Manifest", console: "Console") -> None:
    """Print which inputs prompts may be decomposed at, and what that came to on the text."""
    found = manifest.options.get("decomposition")
    if found is None:
        return
    if not manifest.decompositions:
        console.print("No layer's input is worth a decomposition within this loss")
        return
    ranks: Counter[tuple[str, int]] = Counter()
    for role, entries in _by_kind(manifest.decompositions, lambda e: e.layers[0]).items():
        ranks.update((role, entry.rank) for entry in entries)
    table = _table("Decomposed in prompts")
    table.add_column("first layer", overflow="fold")
    for title in ("pseudo-tokens", "inputs"):
        table.add_column(title, justify="right", no_wrap=True)
    for (role, rank), count in sorted(ranks.items()):
        table.add_row(role, str(rank), str(count))
    console.print(table)
    console.print(
        f"{found['saved']:.1%} of a prompt's stream bits saved, "
        f"at a loss of {found['loss']:.4f} nats a token"
    )


def _table(title: str, *, show_footer: bool = False) -> "Table":
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_footer=show_footer)


def _error(entries: "list[LayerEntry]") -> str:
    known = [e.error for e in entries if e.error is not None]
    return f"{100 * (sum(e * e for e in known) / len(known)) ** 0.5:.2f}%" if known else ""
