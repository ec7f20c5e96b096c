"""The options of speculation: how many tokens are proposed, and by what table."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from summand.isa import EngineConfig, SummandError

if TYPE_CHECKING:
    from summand.cli.devices import DeviceChoice
    from summand.decoding import Speculation, Writer
    from summand.draft import Recycled
    from summand.runtime.load import LoadedModel

__all__ = ["DraftTableOption", "SpeculateOption", "SpeculationChoice", "speculation_figures"]

SpeculateOption = Annotated[
    str,
    typer.Option(
        metavar="N|auto|off",
        help="Propose up to N tokens a pass and keep those that are right; the text is the same. "
        "auto: as many as the engine's rows pay for.",
    ),
]
DraftTableOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What earlier texts taught the drafter; read if it exists, and written at the end.",
    ),
]


@dataclass(frozen=True)
class SpeculationChoice:
    """How many tokens are proposed.

    Parameters
    ----------
    proposals : int or None
        In each pass at most; 0 for none, None for as many as pay.
    table : Path or None
        Where the drafter's table is kept.
    """

    proposals: int | None
    table: Path | None = None

    @classmethod
    def choose(cls, text: str, table: Path | None, engine: EngineConfig) -> "SpeculationChoice":
        """Return the choice that the options make, for an engine.

        Raises
        ------
        SummandError
            If they are none, or the engine has too few rows.
        """
        choice = cls(_proposals(text, engine), table)
        if table and not choice.possible(engine):
            why = "the engine has one row" if engine.rows == 1 else f"--speculate is {text}"
            raise SummandError(
                f"--draft-table is for speculation, and {why}; leave it out, or give an engine of "
                f"more rows"
            )
        return choice

    def possible(self, engine: EngineConfig) -> bool:
        """Whether anything will be proposed on ``engine``."""
        return self.proposals != 0 and engine.rows > 1

    @contextlib.contextmanager
    def speculation(
        self, loaded: "LoadedModel", target: "DeviceChoice", *, few: bool
    ) -> "Iterator[Speculation | None]":
        """Give the speculation for a model on a device; what it learned is saved at the end.

        ``few`` says that a head need send no more than shows the likeliest tokens.

        Also at an end by an error or an interrupt. A table that cannot be read, or whose folder
        does not exist, is refused before.
        """
        from summand.bench.rows import row_costs
        from summand.decoding import Payoff, Speculation
        from summand.draft import make_drafter

        if not self.possible(target.engine):
            yield None
            return
        proposals: int | Payoff | None = self.proposals
        if proposals is None:
            programs = [g.least_program if few else g.program for g in loaded.groups]
            proposals = Payoff(row_costs(target.engine, programs, target.link))
        if self.table is None:
            yield Speculation(make_drafter(loaded.vocabulary), proposals)
            return
        table = _Table(self.table, loaded)
        drafter = make_drafter(loaded.vocabulary, table.load())
        try:
            yield Speculation(drafter, proposals)
        finally:
            table.save(drafter.learned)


class _Table:
    """A file that keeps what drafters of one tokenizer learn."""

    def __init__(self, path: Path, loaded: "LoadedModel"):
        words = json.dumps(sorted(loaded.tokenizer.get_vocab().items()))
        self._path = path
        self._vocabulary = loaded.vocabulary
        self._tokenizer = hashlib.sha256(words.encode()).hexdigest()

    def load(self) -> "Recycled | None":
        """Return what was learned before; None if there is no such file yet."""
        from summand.draft import load_table

        if not self._path.exists():
            self.save(None)  # so that a place that cannot be written is known now
            return None
        return load_table(self._path, vocabulary=self._vocabulary, tokenizer=self._tokenizer)

    def save(self, learned: "Recycled | None") -> None:
        """Write it, whole or not at all."""
        from summand.draft import Recycled, save_table

        save_table(self._path, learned or Recycled(self._vocabulary), tokenizer=self._tokenizer)


def _proposals(text: str, engine: EngineConfig) -> int | None:
    if text == "auto":
        return None
    if text == "off":
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not int(text):
        raise SummandError(f"--speculate must be auto, off or a number of tokens, not {text!r}")
    if int(text) >= engine.rows:
        rows = "1 row" if engine.rows == 1 else f"{engine.rows} rows"
        remedy = f"at most {engine.rows - 1}" if engine.rows > 1 else "off"
        raise SummandError(
            f"--speculate {text}: the engine has {rows}, of which one is for the text's last "
            f"token; give {remedy}, or an engine of more rows by --config"
        )
    return int(text)


def speculation_figures(writer: "Writer") -> dict[str, Any]:
    """Return how many passes there were after the prompt's, and what was proposed in them."""
    passes = writer.passes
    longest = max((p.accepted for p in passes), default=0)
    return {
        "passes": len(passes),
        "tokens_per_pass": writer.chosen / len(passes) if passes else None,
        "proposed": sum(p.proposed for p in passes),
        "accepted": sum(p.accepted for p in passes),
        # In how many passes the first, second, ... token after the text was one of the draft.
        "accepted_by_place": [
            sum(p.accepted >= place for p in passes) for place in range(1, longest + 1)
        ],
        "why_plain": writer.why_plain,
    }
