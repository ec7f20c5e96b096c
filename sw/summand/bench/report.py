"""A benchmark's outcome as one JSON object."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from summand.bench.figures import by_role, usage_figures
from summand.bench.measure import Run, Written
from summand.bench.projection import tokens_per_gb
from summand.bench.suite import Options, Outcome, Phase, Projected
from summand.model import SummandModel
from summand.model.folder import MANIFEST, sha256

if TYPE_CHECKING:
    from summand.bench.speculation import Speculated, Text

__all__ = ["FORMAT", "comparison", "report", "speculated_parts", "token_seconds"]

#: Raised whenever a field changes its meaning.
FORMAT = 1


def report(
    source: SummandModel,
    options: Options,
    outcomes: Sequence[Outcome],
    boards: Sequence[Projected],
) -> dict[str, Any]:
    """Return everything but date, machine and versions."""
    return {
        "format": FORMAT,
        "model": _model(source),
        "options": dataclasses.asdict(options),
        "configurations": [_configuration(outcome) for outcome in outcomes],
        "comparison": comparison(outcomes),
        "boards": [_board(projected) for projected in boards],
    }


def token_seconds(written: Written) -> float:
    """Return the median token's seconds."""
    return statistics.median(written.seconds)


def _model(source: SummandModel) -> dict[str, Any]:
    layers = source.manifest.layers
    weights, bits = sum(e.weights for e in layers), sum(e.bits for e in layers)
    return {
        "path": str(source.path),
        "sha256": sha256(source.path / MANIFEST),
        "source": dict(source.manifest.source),
        "layers": len(layers),
        "groups": len(source.groups),
        "weights": weights,
        "bits_per_weight": bits / weights,
    }


def _configuration(outcome: Outcome) -> dict[str, Any]:
    config = outcome.named.config
    return {
        "name": outcome.named.name,
        "digest": config.digest,
        "config": dataclasses.asdict(config),
        "error": outcome.error or None,
        "phases": {phase.name: _phase(phase) for phase in outcome.phases},
        "written": _written(outcome),
        "stalled": _stalled(outcome),
        "speculated": _speculated(outcome),
        "prompt": _prompt(outcome),
        "tokens_s_per_gb_s": _per_gb(outcome),
    }


def _prompt(outcome: Outcome) -> dict[str, Any] | None:
    cost = outcome.prompt
    if cost is None:
        return None
    return {
        "source": "modelled",
        "tokens": cost.tokens,
        "cycles": cost.cycles,
        "share": cost.share,
        "plain": usage_figures(cost.plain),
        "replaced": usage_figures(cost.replaced),
        "parts": {name: usage_figures(part) for name, part in cost.parts.items()},
    }


def _phase(phase: Phase) -> dict[str, Any]:
    return {
        "tokens": phase.tokens,
        "equal": phase.equal,
        "modelled": usage_figures(phase.modelled_total),
        "measured": _run(phase.measured) if phase.measured else None,
        "layers": {kind: usage_figures(usage) for kind, usage in by_role(phase.usage).items()},
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        **usage_figures(run.total),
        "seconds": run.seconds,
        "device_seconds": run.device_seconds,
        "cycles_per_second": run.cycles_per_second,
    }


def _written(outcome: Outcome) -> dict[str, Any]:
    written = outcome.written
    if written is None:
        return {"source": None, "why": outcome.untimed}
    return {
        "source": "measured",
        "seconds": list(written.seconds),
        "device_seconds": list(written.device_seconds),
        "seconds_per_token": token_seconds(written),
        "host_share": written.host_share,
    }


def _stalled(outcome: Outcome) -> dict[str, Any] | None:
    stalled = outcome.stalled
    if stalled is None:
        return None
    return {
        "source": "measured",
        "stall": stalled.stall,
        "withheld": stalled.withheld,
        "extra_share": outcome.extra_share,
        "law_equal": stalled.law_equal,
        **_run(stalled.run),
    }


def _speculated(outcome: Outcome) -> dict[str, Any] | None:
    if outcome.speculated is None:
        return {"source": None, "why": outcome.unspeculated} if outcome.unspeculated else None
    stream_bits = outcome.named.config.stream_bits
    return {
        "source": "tokens and passes counted on the golden model, cycles by the law",
        "equal": outcome.speculated.equal,
        "parts": [
            {"texts": part, **_drafted(texts, stream_bits)}
            for part, texts in speculated_parts(outcome.speculated)
        ],
        "texts": [_text(text) for text in outcome.speculated.texts],
    }


def speculated_parts(whole: "Speculated") -> list[tuple[str, "Speculated"]]:
    """Return the texts in all, those that do not end in a loop, and those of each kind."""
    kinds = dict.fromkeys(text.prompt.kind for text in whole.texts)
    parts = [("all", whole), ("without loops", whole.only(lambda text: not text.loops))]
    parts += [
        (kind, whole.only(lambda text, kind=kind: text.prompt.kind == kind)) for kind in kinds
    ]
    return [(name, part) for name, part in parts if part.texts]


def _drafted(texts: "Speculated", stream_bits: int) -> dict[str, Any]:
    usage, chosen = texts.usage, texts.chosen
    return {
        "count": len(texts.texts),
        "tokens": chosen,
        "passes": texts.passes,
        "tokens_per_pass": texts.tokens_per_pass,
        "cycles_per_token": usage.counters.cycles / chosen,
        "stream_bits_per_token": usage.stream_bits / chosen,
        "tokens_s_per_gb_s": tokens_per_gb(usage, stream_bits, tokens=chosen),
        "seconds_over_plain": texts.time_ratio,
    }


def _text(text: "Text") -> dict[str, Any]:
    passes = text.drafted.passes
    return {
        "name": text.prompt.name,
        "kind": text.prompt.kind,
        "equal": text.equal,
        "loops": text.loops,
        "token_ids": list(text.drafted.tokens),
        "tokens": text.drafted.chosen,
        "passes": len(passes),
        "proposed": sum(p.proposed for p in passes),
        "accepted": sum(p.accepted for p in passes),
        "seconds": text.drafted.seconds,
        "plain_seconds": text.plain.seconds,
    }


def _per_gb(outcome: Outcome) -> dict[str, Any] | None:
    if not outcome.phases:
        return None
    value = tokens_per_gb(outcome.phases[0].total, outcome.named.config.stream_bits)
    return {"source": "projected", "value": value}


def comparison(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return each configuration's figures divided by those of the first that has any.

    ``decode`` and ``prefill`` compare cycles a token, ``cycles_per_second`` and ``seconds`` the
    simulator and the whole model in it. A ratio is None where either figure is missing.
    """
    sound = [outcome for outcome in outcomes if outcome.phases]
    if len(sound) < 2:
        return []
    base = _compared(sound[0])
    return [
        {"name": outcome.named.name, "relative_to": sound[0].named.name}
        | {what: _ratio(value, base[what]) for what, value in _compared(outcome).items()}
        for outcome in sound
    ]


def _compared(outcome: Outcome) -> dict[str, float | None]:
    first, last = outcome.phases[0], outcome.phases[-1]
    return {
        "decode": first.total.counters.cycles / first.tokens,
        "prefill": last.total.counters.cycles / last.tokens,
        "cycles_per_second": first.measured.cycles_per_second if first.measured else None,
        "seconds": token_seconds(outcome.written) if outcome.written else None,
    }


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def _board(projected: Projected) -> dict[str, Any]:
    head = {
        "source": "projected",
        "name": projected.board.name,
        "memory": projected.board.memory.kind,
        "memory_source": projected.board.memory.source,
        "digest": projected.board.engine.digest,
        "error": projected.error or None,
    }
    found = projected.projection
    if found is None:
        return head
    return {
        **head,
        **dataclasses.asdict(found),
        "tokens_s": found.tokens_s,
        "limit": found.limit,
        "tokens_s_per_gb_s": found.tokens_s / (found.memory_bytes_s / 1e9),
    }
