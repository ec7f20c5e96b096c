from dataclasses import dataclass
from typing import Annotated

import pytest

from summand.isa.limits import Limits
from summand.options.declaration import Option, OptionError, check, declared


@dataclass(frozen=True)
class Paint:
    """Options of a wall."""

    coats: Annotated[
        int,
        Option(
            "Coats of paint", limits=Limits(1, 5), zero="bare plaster", note="they dry overnight"
        ),
    ] = 2
    colour: Annotated[str, Option("Colour: white, or red", names=("white", "red"))] = "white"
    matt: Annotated[bool, Option("Leave it matt")] = False

    def __post_init__(self):
        check(self)


def test_a_sentence_has_the_range_and_what_zero_means():
    said = [option.help for _, _, option in declared(Paint)]
    assert said == [
        "Coats of paint, 1 to 5; 0 for bare plaster; they dry overnight.",
        "Colour: white, or red.",
        "Leave it matt.",
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"coats": 6}, "coats must be 0 to 5, not 6"),
        ({"coats": -1}, "coats must be 0 to 5, not -1"),
        ({"coats": 1.5}, r"coats must be 0 to 5, not 1\.5"),
        ({"colour": "blue"}, "colour must be white or red, not 'blue'"),
        ({"matt": 1}, "matt must be true or false, not 1"),
    ],
)
def test_other_values_are_refused(values, said):
    with pytest.raises(OptionError, match=f"^{said}$"):
        Paint(**values)


def test_allowed_values_pass():
    assert Paint(coats=0).coats == 0
    assert Paint(coats=5, colour="red", matt=True).matt


def test_a_name_that_the_text_leaves_out_is_refused():
    with pytest.raises(ValueError, match="must name green"):
        Option("Colour: white, or red", names=("white", "green"))


def test_a_field_without_a_declaration_is_refused():
    @dataclass
    class Bare:
        size: int = 1

    @dataclass
    class Open:
        size: Annotated[int, Option("Size")]

    for options in (Bare, Open):
        with pytest.raises(TypeError, match="size must have a default and one Option"):
            declared(options)
