"""Tables that a command shows in the terminal, as one page."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from summand.report.page import html_page, html_table, html_text

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["tables_page"]


def tables_page(
    title: str,
    headline: Sequence[tuple[str, str]],
    tables: Iterable["Table"],
    notes: Iterable[str],
    made: str,
) -> str:
    """Return a page of a headline, tables and notes.

    Parameters
    ----------
    title : str
        What it is about.
    headline : sequence of pairs of str
        The most important figures, each with what it is and how it is known.
    tables : iterable of rich tables
        As they are in the terminal; their titles say how figures are known.
    notes : iterable of str
        A paragraph each.
    made : str
        Version, date and command.
    """
    cells = (f"<div><b>{html_text(a)}</b>{html_text(b)}</div>" for a, b in headline)
    body = [f"<h1>{html_text(title)}</h1>", f'<div class="figures">{"".join(cells)}</div>']
    for table in tables:
        heads = [" ".join(str(column.header).split()) for column in table.columns]
        rows = zip(*(map(str, column.cells) for column in table.columns), strict=True)
        body += [f"<h2>{html_text(str(table.title))}</h2>"] if table.title else []
        body.append(html_table(heads, rows))
    body += [f"<p>{html_text(note)}</p>" for note in notes]
    body.append(f'<p class="source">{html_text(made)}</p>')
    return html_page(title, body)
