"""The tables of ``summand bench``."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from summand.bench.suite import Outcome, Phase, Projected

__all__ = ["bench_notes", "bench_tables"]


def bench_tables(
    whole: dict[str, Any], outcomes: "Sequence[Outcome]", boards: "Sequence[Projected]"
) -> Iterator["Table"]:
    """Yield the tables of what was measured and projected."""
    if any(outcome.phases for outcome in outcomes):
        yield _cycle_table(outcomes)
        yield _wait_table(outcomes)
    if any(outcome.written for outcome in outcomes):
        yield _time_table(outcomes)
    if any(outcome.stalled for outcome in outcomes):
        yield _stall_table(outcomes)
    if any(outcome.speculated for outcome in outcomes):
        yield _speculation_table(whole["configurations"])
    if any(outcome.prompt for outcome in outcomes):
        yield _prompt_table(outcomes)
    if whole["comparison"]:
        yield _comparison_table(whole["comparison"])
    yield _board_table(boards)


def bench_notes(
    outcomes: "Sequence[Outcome]", boards: "Sequence[Projected]"
) -> Iterator[tuple[str, str]]:
    """Yield what the user should know besides: an engine's or a board's name, and a sentence."""
    from summand.bench import tokens_per_gb

    for outcome in outcomes:
        if outcome.error:
            yield outcome.named.name, f"not measured: {outcome.error}"
            continue
        stream_bits = outcome.named.config.stream_bits
        per_gb = tokens_per_gb(outcome.phases[0].total, stream_bits)
        yield outcome.named.name, f"{per_gb:.2f} tokens/s per GB/s of stream, projected"
        if outcome.untimed:
            yield outcome.named.name, f"no tokens timed: {outcome.untimed}"
        if outcome.unspeculated:
            yield outcome.named.name, f"no prompts written: {outcome.unspeculated}"
        if outcome.undecomposed:
            yield outcome.named.name, f"no prompt with decompositions: {outcome.undecomposed}"
        for text in outcome.speculated.texts if outcome.speculated else ():
            if not text.equal:
                yield outcome.named.name, f"{text.prompt.name}: speculation CHANGED its text"
    for projected in boards:
        if projected.error:
            yield projected.board.name, f"not projected: {projected.error}"
        elif projected.projection and not projected.projection.fits:
            held = projected.board.memory.bytes / 1e6
            needed = projected.projection.token_bytes / 1e6
            yield (
                projected.board.name,
                f"its memory of {held:.0f} MB does not hold the {needed:.0f} MB of weights",
            )


def _table(title: str, *columns: str, left: Sequence[str] = ()) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("engine", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right")
    return table


def _prompt_table(outcomes: "Sequence[Outcome]") -> "Table":
    tokens = next(outcome.prompt.tokens for outcome in outcomes if outcome.prompt)
    table = _table(
        f"A prompt of {tokens} tokens with decompositions, by the cost law",
        *("cycles", "of those\nwithout", "where layers\nare decomposed", "by part"),
        left=("by part",),
    )
    for outcome in outcomes:
        if (cost := outcome.prompt) is None:
            continue
        table.add_row(
            outcome.named.name,
            f"{cost.cycles:,}",
            f"{cost.share:.1%}",
            f"{sum(cost.shares.values()):.1%}",
            ", ".join(f"{name} {share:.1%}" for name, share in cost.shares.items()),
        )
    return table


def _cycle_table(outcomes: "Sequence[Outcome]") -> "Table":
    table = _table(
        "Cycles of all layers and head",
        *("phase", "cycles", "stream\nbeats", "of the\nlimit"),
        *("MACs a\ncycle", "kB\nback", "source"),
        left=("phase", "source"),
    )
    for outcome in outcomes:
        for phase in outcome.phases:
            for source, usage in _sources(phase):
                table.add_row(
                    outcome.named.name,
                    f"{phase.name} {phase.tokens}",
                    f"{usage.counters.cycles:,}",
                    f"{usage.beats:,}",
                    f"{usage.stream_share:.1%}",
                    f"{usage.macs_per_cycle:.1f}",
                    f"{usage.answer_bytes / 1000:,.0f}",
                    source,
                )
    return table


def _wait_table(outcomes: "Sequence[Outcome]") -> "Table":
    from summand.bench import waits

    table = _table(
        "What the cycles without plane words go to", "phase", "causes", left=("phase", "causes")
    )
    for outcome in outcomes:
        for phase in outcome.phases:
            label = f"{phase.name} {phase.tokens}"
            table.add_row(outcome.named.name, label, waits(phase.total.counters))
    return table


def _sources(phase: "Phase") -> list[tuple[str, Any]]:
    """Return the lines that show a phase: one line where law and RTL agree, else both."""
    if phase.measured is None:
        return [("by the law", phase.modelled_total)]
    if phase.equal:
        return [("measured = law", phase.total)]
    return [("measured", phase.total), ("law: DIFFERENT", phase.modelled_total)]


def _time_table(outcomes: "Sequence[Outcome]") -> "Table":
    from summand.bench.report import token_seconds

    table = _table(
        "Native simulator, measured", "cycles\na second", "seconds\na token", "of these\nthe host's"
    )
    for outcome in outcomes:
        if outcome.written and (run := outcome.phases[0].measured):
            table.add_row(
                outcome.named.name,
                f"{run.cycles_per_second:,.0f}",
                f"{token_seconds(outcome.written):.2f}",
                f"{outcome.written.host_share:.0%}",
            )
    return table


def _stall_table(outcomes: "Sequence[Outcome]") -> "Table":
    table = _table(
        "Decode with stalls, measured",
        *("probability", "cycles", "withheld", "extra", "law, given\nthe stalls"),
    )
    for outcome in outcomes:
        if (stalled := outcome.stalled) and outcome.extra_share is not None:
            table.add_row(
                outcome.named.name,
                f"{stalled.stall:g}",
                f"{stalled.run.total.counters.cycles:,}",
                f"{stalled.withheld:,}",
                f"{outcome.extra_share:+.3%}",
                "equal" if stalled.law_equal else "DIFFERENT",
            )
    return table


def _speculation_table(configurations: Sequence[dict[str, Any]]) -> "Table":
    table = _table(
        "Speculation: tokens counted on the golden model, cycles by the law",
        *("texts", "tokens", "tokens\na pass", "cycles\na token", "tokens/s per\nGB/s, projected"),
        "seconds\nover plain",
        left=("texts",),
    )
    for configuration in configurations:
        for part in (configuration["speculated"] or {}).get("parts", ()):
            table.add_row(
                configuration["name"],
                f"{part['count']} {part['texts']}",
                f"{part['tokens']:,}",
                f"{part['tokens_per_pass']:.2f}",
                f"{part['cycles_per_token']:,.0f}",
                f"{part['tokens_s_per_gb_s']:.2f}",
                f"{part['seconds_over_plain']:.2f}",
            )
    return table


def _comparison_table(rows: Sequence[dict[str, Any]]) -> "Table":
    table = _table(
        f"Relative to {rows[0]['relative_to']}",
        *("decode\ncycles", "prefill cycles\na token", "simulator's\ncycles a second"),
        "seconds\na token",
    )
    for row in rows:
        figures = (row[what] for what in ("decode", "prefill", "cycles_per_second", "seconds"))
        table.add_row(row["name"], *("-" if f is None else f"{f:.3f}" for f in figures))
    return table


def _board_table(boards: "Sequence[Projected]") -> "Table":
    table = _table(
        "Decoding on boards that hold the weights, projected",
        *("memory\nGB/s", "link\nMB/s", "tokens/s\nby memory", "by\nclock", "by\nlink"),
        *("tokens/s", "bound\nby"),
    )
    for projected in boards:
        if found := projected.projection:
            table.add_row(
                found.board,
                f"{found.memory_bytes_s / 1e9:.3f}",
                f"{found.link_bytes_s / 1e6:.3g}",
                f"{found.by_memory:.2f}",
                f"{found.by_clock:.2f}",
                f"{found.by_link:.3g}",
                f"{found.tokens_s:.3g}",
                found.limit,
            )
    return table
