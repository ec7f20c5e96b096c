import pytest
from rich.table import Table

from summand.cli.consoles import open_console


@pytest.mark.parametrize("name", ["model[0]", "[red]layer", "[/layer]", "[link=x]layer[/link]"])
def test_names_are_printed_as_they_are(name, capsys):
    """Even those that Rich would take for markup, or for invalid markup."""
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    console = open_console()
    console.print(name)
    console.print(table)
    assert capsys.readouterr().out.count(name) == 4
